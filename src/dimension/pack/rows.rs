//! [`Faults`]: rows that do not fit, counted, and the first of them kept.

use super::error::{BadRow, BadRows, ROWS_NAMED};

/// Rows that do not fit and what is wrong with the first of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults<P> {
    pub(super) count: usize,
    first: [Option<(usize, P)>; ROWS_NAMED],
}

impl<P: Copy> Faults<P> {
    pub(super) fn none() -> Self {
        Self { count: 0, first: [None; ROWS_NAMED] }
    }

    /// One more, below all that are there.
    pub(super) fn push(&mut self, row: usize, problem: P) {
        if let Some(free) = self.first.get_mut(self.count) {
            *free = Some((row, problem));
        }
        self.count += 1;
    }

    /// Those of an earlier part of the rows and those of a later one.
    pub(super) fn then(mut self, later: Self) -> Self {
        for (row, problem) in later.first.into_iter().flatten() {
            if let Some(free) = self.first.iter_mut().find(|f| f.is_none()) {
                *free = Some((row, problem));
            }
        }
        self.count += later.count;
        self
    }

    /// In words.
    pub(super) fn report(
        self,
        packer: &std::sync::Arc<str>,
        doing: &'static str,
        rows: usize,
        words: impl Fn(usize, P) -> String,
    ) -> Option<BadRows> {
        (self.count > 0).then(|| BadRows {
            packer: packer.clone(),
            doing,
            count: self.count,
            rows,
            first: self
                .first
                .into_iter()
                .flatten()
                .map(|(row, problem)| BadRow { row, problem: words(row, problem) })
                .collect(),
        })
    }
}
