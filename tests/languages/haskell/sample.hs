{-# LANGUAGE LambdaCase #-}
-- | A parser of numbers and sums.
module Calc.Parser
  ( Expr (..)
  , parse
  ) where

import Control.Applicative (Alternative (..))
import Data.Char (isDigit, isSpace)

-- | What can be calculated.
data Expr
  = Number Int
  | Add Expr Expr
  deriving (Eq, Show)

newtype Parser a = Parser { runParser :: String -> Maybe (a, String) }

type Input = String

-- | Things that have a value.
class Valued a where
  value :: a -> Int
  value _ = 0

  name :: a -> String

instance Functor Parser where
  fmap f (Parser p) = Parser $ \s -> case p s of
    Nothing -> Nothing
    Just (a, rest) -> Just (f a, rest)

instance Valued Expr where
  value (Number n) = n
  value (Add a b) = value a + value b
  name _ = "expression"

-- | Parses a whole expression.
parse :: String -> Maybe Expr
parse input = case runParser expr input of
  Just (e, "") -> Just e
  _ -> Nothing
  where
    trimmed = dropWhile isSpace input

number :: Parser Int
number = Parser $ \case
  s | (ds@(_ : _), rest) <- span isDigit s -> Just (read ds, rest)
  _ -> Nothing

expr :: Parser Expr
expr = undefined

eval :: Expr -> Int
eval (Number n) = n
eval (Add a b) = eval a + eval b

(<+>) :: Expr -> Expr -> Expr
a <+> b = Add a b

infixl 6 <+>

type family Elem c
