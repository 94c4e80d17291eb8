package org.example.streams

import scala.concurrent.Future
import scala.util.{Try, Success}

/** What can be folded. */
trait Foldable[F[_]] {
  type Out
  val empty: Out

  def foldLeft[A, B](fa: F[A], b: B)(f: (B, A) => B): B

  // Through foldLeft.
  def size[A](fa: F[A]): Long = foldLeft(fa, 0L)((n, _) => n + 1)
}

object Foldable {
  final val Limit = 1000
  private var calls = 0

  @inline def apply[F[_]](implicit F: Foldable[F]): Foldable[F] = F

  implicit val listFoldable: Foldable[List] = new Foldable[List] {
    type Out = Nothing
    def foldLeft[A, B](fa: List[A], b: B)(f: (B, A) => B): B = fa.foldLeft(b)(f)
  }

  implicit class Ops[F[_], A](private val fa: F[A]) extends AnyVal {
    def count(implicit F: Foldable[F]): Long = F.size(fa)
  }
}

sealed abstract class Tree[+A] extends Product with Serializable
final case class Leaf[A](value: A) extends Tree[A]
case object Empty extends Tree[Nothing]

class Runner(name: String, retries: Int = 3)(implicit ec: Int) {
  lazy val started: Long = System.nanoTime()

  def this(name: String) = this(name, 1)

  def run[A](task: => A): Try[A] = {
    def loop(left: Int): Try[A] = Try(task) match {
      case s @ Success(_) => s
      case _ if left > 0  => loop(left - 1)
      case f              => f
    }
    loop(retries)
  }
}

enum Color(val rgb: Int):
  case Red extends Color(0xff0000)
  case Green extends Color(0x00ff00)

  def hex: String = rgb.toHexString

given intOrdering: Ordering[Int] with
  def compare(x: Int, y: Int): Int = x - y

extension (s: String)
  def shout: String = s.toUpperCase

type Id[A] = A
def topLevel(x: Int): Int = x + 1
