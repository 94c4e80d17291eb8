//! A small arena.

use std::collections::HashMap;
use std::fmt;

pub const CAPACITY: usize = 64;
static mut COUNTER: u32 = 0;

pub type Index = usize;

/// Where an item lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    index: Index,
    generation: u32,
}

#[derive(Debug)]
pub enum Entry<T> {
    Free { next: Option<Index> },
    Used(T, u32),
}

/// Anything that can be put into an arena.
pub trait Item: Sized {
    const KIND: &'static str;
    type Key;

    fn key(&self) -> Self::Key;

    fn describe(&self) -> String {
        Self::KIND.to_owned()
    }
}

pub struct Arena<T> {
    entries: Vec<Entry<T>>,
    names: HashMap<String, Slot>,
}

impl<T> Arena<T> {
    pub fn new() -> Self {
        Arena { entries: Vec::with_capacity(CAPACITY), names: HashMap::new() }
    }

    /// Puts an item into the first free slot.
    #[inline]
    pub fn insert(&mut self, item: T) -> Slot
    where
        T: Clone,
    {
        let index = self.entries.len();
        self.entries.push(Entry::Used(item, 0));
        Slot { index, generation: 0 }
    }

    pub async fn get<'a>(&'a self, slot: Slot) -> Option<&'a T> {
        match self.entries.get(slot.index)? {
            Entry::Used(item, generation) if *generation == slot.generation => Some(item),
            _ => None,
        }
    }
}

impl<T: fmt::Debug> fmt::Display for Arena<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.entries)
    }
}

macro_rules! arena {
    ($($item:expr),*) => {{
        let mut arena = Arena::new();
        $(arena.insert($item);)*
        arena
    }};
}

pub mod io {
    pub unsafe fn reset() {
        super::COUNTER = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserted_items_are_found() {
        let arena = arena![1, 2, 3];
        assert_eq!(arena.entries.len(), 3);
    }
}
