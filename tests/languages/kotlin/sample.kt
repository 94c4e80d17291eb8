package org.example.di

import kotlin.reflect.KClass

const val ROOT = "root"
private val registry = mutableMapOf<String, Scope>()
var debug: Boolean = false

typealias Factory<T> = (Scope) -> T

/** Where instances live. */
@Suppress("unused")
open class Scope(val name: String, private val parent: Scope? = null) : AutoCloseable {
    private val instances = HashMap<KClass<*>, Any>()
    val depth: Int
        get() = (parent?.depth ?: 0) + 1

    init {
        registry[name] = this
    }

    constructor(parent: Scope) : this("child", parent)

    // Looks in the parent last.
    @Throws(NoSuchElementException::class)
    inline fun <reified T : Any> get(default: () -> T? = { null }): T {
        return find(T::class) ?: default() ?: throw NoSuchElementException()
    }

    fun <T : Any> find(type: KClass<T>): T? = instances[type] as T?

    override fun close() {
        instances.clear()
    }

    companion object {
        const val MAX = 100

        fun root(): Scope = Scope(ROOT)
    }

    enum class Kind { SINGLE, FACTORY;
        fun once() = this == SINGLE
    }

    data class Key(val type: KClass<*>, val qualifier: String?)
}

interface Module {
    val scopes: List<Scope>

    fun load(scope: Scope)
}

sealed interface State {
    object Ready : State
    data class Failed(val cause: Throwable) : State
}

object Defaults : Module {
    override val scopes = emptyList<Scope>()
    override fun load(scope: Scope) {
        fun inner() = scope.name
        println(inner())
    }
}

fun Scope.describe(): String {
    return "$name at $depth"
}

suspend fun <T> withScope(block: suspend Scope.() -> T): T = Scope.root().run { block() }
