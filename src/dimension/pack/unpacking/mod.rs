//! [`UnpackJob`]: integers to columns.

mod apart;
mod block;
mod exact;

use std::array;
use std::ops::Range;

use arrow::buffer::NullBuffer;

use super::column::{IntView, IntViewMut, PackColumn, Values};
use super::error::{BadRows, PackError};
use super::kernels::{Divisor, STEP, WideDivisor};
use super::lines::{self, Apart};
use super::plan::{MOST_FIELDS, MOST_SLOTS, Plan, Target};
use super::rows::Faults;
use super::split::{joined, middle};
use crate::dimension::DimensionValue;

use block::{Block, Buffers};
use exact::Problem;

/// More columns than fields and identifiers are not asked for.
pub(super) const MOST_OUTPUTS: usize = 40;

/// One field, when unpacked.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// The output column that takes its values, if any.
    output: Option<usize>,
    /// Its codes are needed one by one.
    codes: bool,
    /// It, or one above it in the same bits, is needed.
    reached: bool,
}

/// The columns of a part of the rows.
type Outputs<'a> = [IntViewMut<'a>; MOST_OUTPUTS];
/// Codes of a block of rows of fields that are looked at together.
type Slots = [[u64; STEP]];

/// Integers to columns: everything that can be known before the first row is.
pub(super) struct UnpackJob<'a, 'c> {
    plan: &'a Plan,
    rows: usize,
    ids: Result<IntView<'c>, i64>,
    nulls: Option<&'a NullBuffer>,
    /// Bits that no integer of this column may have.
    forbidden: u64,
    targets: Vec<Target>,
    /// Smallest and largest value of the outputs' types.
    ranges: Vec<(i128, i128)>,
    uses: [Use; MOST_FIELDS],
    divisors: [Option<(Divisor, WideDivisor)>; MOST_FIELDS],
    together: bool,
    /// How plain columns of 64-bit integers are filled, and which: the output of every field.
    apart: Option<(Apart, [usize; lines::MOST])>,
}

impl<'a, 'c> UnpackJob<'a, 'c> {
    pub(super) fn new(
        plan: &'a Plan,
        ids: &'a PackColumn<'c>,
        rows: usize,
        targets: Vec<Target>,
        outputs: &[&IntViewMut<'_>],
    ) -> Result<Self, PackError> {
        let view = match &ids.values {
            Values::Integers(view) => Ok(*view),
            Values::Value(DimensionValue::Int(v)) => Err(*v),
            Values::Null => Err(0),
            _ => {
                let name = "the packed integers".to_owned();
                return Err(PackError::WrongType { name, expected: "integers", found: ids.type_name() });
            }
        };
        let signed = match &view {
            Ok(view) => view.range().0 < 0,
            Err(_) => true,
        };
        let mut job = Self {
            plan,
            rows,
            ids: view,
            nulls: ids.nulls.as_ref(),
            forbidden: !plan.used | (u64::from(signed) << 63),
            ranges: outputs.iter().map(|o| o.range()).collect(),
            uses: [Use::default(); MOST_FIELDS],
            divisors: [None; MOST_FIELDS],
            together: plan.digits.iter().any(|d| d.limit.is_some())
                || targets.iter().any(|t| matches!(t, Target::Identifier(_))),
            targets,
            apart: None,
        };
        for (output, target) in job.targets.iter().enumerate() {
            match *target {
                Target::Digit(digit) => job.uses[digit].output = Some(output),
                Target::Identifier(which) => {
                    for digit in plan.identifiers[which].parts() {
                        job.uses[digit].codes = true;
                    }
                }
            }
        }
        for (i, digit) in plan.digits.iter().enumerate() {
            job.uses[i].codes |= digit.has_holes();
            if let Some(limit) = &digit.limit {
                job.uses[i].codes = true;
                job.uses[limit.other].codes = true;
            }
            if digit.room > 0 && digit.room < u64::MAX {
                job.divisors[i] = Some((Divisor::new(digit.room + 1), WideDivisor::new(digit.room + 1)));
            }
        }
        for segment in &plan.segments {
            let mut reached = false;
            for i in (segment.first..segment.end).rev() {
                reached |= job.uses[i].codes || job.uses[i].output.is_some();
                job.uses[i].reached = reached;
            }
        }
        job.apart = job.apart();
        Ok(job)
    }

    /// Unpacks all rows. Rows that do not fit are 0 in every output and true in `mask`.
    pub(super) fn run(&self, outputs: Vec<IntViewMut<'_>>, mask: Option<&mut [bool]>) -> Option<BadRows> {
        let mut outputs = outputs.into_iter();
        let outputs = array::from_fn(|_| outputs.next().unwrap_or_else(IntViewMut::empty));
        let faults = self.range(0..self.rows, outputs, mask);
        faults.report(&self.plan.name, "unpacked", self.rows, |_, problem| self.words(problem))
    }

    fn range(&self, rows: Range<usize>, outputs: Outputs<'_>, mask: Option<&mut [bool]>) -> Faults<Problem> {
        let Some(middle) = middle(rows.len()) else { return self.chunk(rows, outputs, mask) };
        let mut rights: Outputs<'_> = array::from_fn(|_| IntViewMut::empty());
        let mut rest = rights.iter_mut();
        let lefts = outputs.map(|output| {
            if output.is_empty() {
                return output;
            }
            let (left, right) = output.split_at(middle);
            if let Some(place) = rest.next() {
                *place = right;
            }
            left
        });
        let (left_mask, right_mask) = mask.map(|m| m.split_at_mut(middle)).unzip();
        let cut = rows.start + middle;
        joined(|| self.range(rows.start..cut, lefts, left_mask), || self.range(cut..rows.end, rights, right_mask))
    }

    fn chunk(&self, rows: Range<usize>, mut outputs: Outputs<'_>, mut mask: Option<&mut [bool]>) -> Faults<Problem> {
        let mut faults = Faults::none();
        if rows.len() <= 8 {
            self.rows_exactly(rows.start, 0..rows.len(), &mut outputs, mask, &mut faults);
            return faults;
        }
        if self.lines(&rows, &mut outputs) == Some(false) {
            if let Some(mask) = mask {
                mask.fill(false);
            }
            return faults;
        }
        let mut buffers = Buffers { ids: [0; STEP], codes: [0; STEP], floats: [0.0; STEP], wide: [0; STEP] };
        let mut slots = self.together.then(|| vec![[0; STEP]; MOST_SLOTS]);
        let mut from = 0;
        while from < rows.len() {
            let block = from..rows.len().min(from + STEP);
            let bad = pulp::Arch::new().dispatch(Block {
                job: self,
                start: rows.start + from,
                rows: block.clone(),
                outputs: &mut outputs,
                buffers: &mut buffers,
                slots: slots.as_deref_mut(),
            });
            if bad {
                self.rows_exactly(rows.start, block.clone(), &mut outputs, mask.as_deref_mut(), &mut faults);
            } else if let Some(mask) = mask.as_deref_mut() {
                mask[block.clone()].fill(false);
            }
            from = block.end;
        }
        faults
    }
}
