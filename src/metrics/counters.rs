//! Numbers that only grow, told apart by labels.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// What tells the counters of one kind apart: an enum, or several. All their values are known before anything is counted.
pub trait Labels: Copy + 'static {
    /// How many values there are.
    const COUNT: usize;

    /// Where this one stands among them.
    fn position(self) -> usize;

    /// The one at this position, as names of labels and their values.
    fn texts(position: usize) -> Vec<(&'static str, &'static str)>;
}

/// Makes enums labels of this name, with these values.
macro_rules! labels {
    ($($type:ty, $name:literal { $($variant:ident => $text:literal),+ $(,)? })+) => {$(
        impl $crate::metrics::Labels for $type {
            const COUNT: usize = [$(Self::$variant),+].len();

            fn position(self) -> usize {
                // every variant has a name, or this does not compile
                match self {
                    $(Self::$variant)|+ => self as usize,
                }
            }

            fn texts(position: usize) -> Vec<(&'static str, &'static str)> {
                let all = [$((Self::$variant, $text)),+];
                all.into_iter()
                    .filter(|(each, _)| $crate::metrics::Labels::position(*each) == position)
                    .map(|(_, text)| ($name, text))
                    .collect()
            }
        }
    )+};
}
pub(crate) use labels;

impl<A: Labels, B: Labels> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn position(self) -> usize {
        self.0.position() * B::COUNT + self.1.position()
    }

    fn texts(position: usize) -> Vec<(&'static str, &'static str)> {
        let mut texts = A::texts(position / B::COUNT);
        texts.extend(B::texts(position % B::COUNT));
        texts
    }
}

impl<A: Labels, B: Labels, C: Labels> Labels for (A, B, C) {
    const COUNT: usize = <((A, B), C)>::COUNT;

    fn position(self) -> usize {
        ((self.0, self.1), self.2).position()
    }

    fn texts(position: usize) -> Vec<(&'static str, &'static str)> {
        <((A, B), C)>::texts(position)
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// As many as this. Only for a number that one task counts.
    pub fn reach(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// How many by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Numbers that only grow, one for each value of the labels.
pub struct Counters<L> {
    counts: Box<[Count]>,
    labels: PhantomData<L>,
}

impl<L: Labels> Default for Counters<L> {
    fn default() -> Self {
        Self {
            counts: (0..L::COUNT).map(|_| Count::default()).collect(),
            labels: PhantomData,
        }
    }
}

impl<L: Labels> Counters<L> {
    /// One more of these.
    pub fn count(&self, labels: L) {
        self.counts[labels.position()].count();
    }

    /// How many of these by now.
    pub fn get(&self, labels: L) -> u64 {
        self.counts[labels.position()].get()
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(Count::get).sum()
    }

    /// All of them, with the labels as text.
    pub(super) fn texts(
        &self,
    ) -> impl Iterator<Item = (Vec<(&'static str, &'static str)>, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts.map(|(position, count)| (L::texts(position), count.get()))
    }
}

/// Without what is counted: it is long, and the page has it.
impl<L> fmt::Debug for Counters<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, Clone, Copy)]
    enum Size {
        Small,
        Middle,
        Large,
    }

    labels! {
        Colour, "colour" { Red => "red", Green => "green" }
        Size, "size" { Small => "small", Middle => "middle", Large => "large" }
    }

    #[test]
    fn each_value_of_the_labels_is_counted_by_itself() {
        let counters = Counters::<(Colour, Size, Colour)>::default();
        for colour in [Colour::Red, Colour::Green] {
            for size in [Size::Small, Size::Middle, Size::Large] {
                counters.count((colour, size, Colour::Green));
            }
        }
        counters.count((Colour::Green, Size::Large, Colour::Red));
        counters.count((Colour::Green, Size::Large, Colour::Red));
        let all: Vec<_> = counters.texts().collect();
        assert_eq!(all.len(), 12);
        assert_eq!(counters.total(), 8);
        let counted: Vec<_> = all.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted.len(), 7);
        let last_but_one = (
            vec![("colour", "green"), ("size", "large"), ("colour", "red")],
            2,
        );
        assert_eq!(all[10], last_but_one);
    }
}
