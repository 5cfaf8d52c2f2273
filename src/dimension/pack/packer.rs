//! [`Packer`]: data IDs to integers and back.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::column::{IntViewMut, PackColumn};
use super::error::{BadRows, PackError};
use super::layout::PackLayout;
use super::pack::PackJob;
use super::plan::{Plan, Target};
use super::unpack::{MOST_OUTPUTS, UnpackJob};
use crate::dimension::{DataId, DimensionValue, near_miss};

/// What to do about rows that do not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Give an error that names the first of them and says how many they are.
    #[default]
    Fail,
    /// Give a mask, true where a row does not fit; the values there are 0.
    Mask,
}

/// Packed integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// One a row; 0 where `bad`.
    pub ids: Vec<u64>,
    /// With [`OnError::Mask`]: where a row does not fit.
    pub bad: Option<Vec<bool>>,
    /// How many rows do not fit and the first of them, when there are any.
    pub faults: Option<BadRows>,
}

/// A column of unpacked values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnpackedColumn {
    /// Integers, or dates as `YYYYMMDD`.
    Integers(Vec<i64>),
    /// Integers of a field that may hold more than an `i64`.
    Unsigned(Vec<u64>),
    /// Texts as positions in a table; `None` there is a null.
    Names {
        /// The positions.
        keys: Vec<i32>,
        /// The table.
        names: Arc<[Option<Arc<str>>]>,
    },
}

impl UnpackedColumn {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(v) => v.len(),
            Self::Unsigned(v) => v.len(),
            Self::Names { keys, .. } => keys.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row; `None` for a null, or a row that there is not.
    pub fn value(&self, row: usize) -> Option<DimensionValue> {
        match self {
            Self::Integers(v) => v.get(row).map(|v| DimensionValue::Int(*v)),
            Self::Unsigned(v) => v.get(row).and_then(|v| i64::try_from(*v).ok()).map(DimensionValue::Int),
            Self::Names { keys, names } => {
                let name = names.get(usize::try_from(*keys.get(row)?).ok()?)?;
                name.clone().map(DimensionValue::Str)
            }
        }
    }

    fn view(&mut self) -> IntViewMut<'_> {
        match self {
            Self::Integers(v) => v.as_mut_slice().into(),
            Self::Unsigned(v) => v.as_mut_slice().into(),
            Self::Names { keys, .. } => keys.as_mut_slice().into(),
        }
    }
}

/// Unpacked columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The columns in the order they were asked for; 0 where `bad`.
    pub columns: Vec<(Arc<str>, UnpackedColumn)>,
    /// With [`OnError::Mask`]: where an integer is not one of the packer's.
    pub bad: Option<Vec<bool>>,
    /// How many rows do not fit and the first of them, when there are any.
    pub faults: Option<BadRows>,
}

impl Unpacked {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&UnpackedColumn> {
        self.columns.iter().find(|(n, _)| &**n == name).map(|(_, c)| c)
    }
}

/// Data IDs to integers and back: scalars, and columns at the speed of memory.
///
/// Whatever goes wrong is an error or a masked row: no value ever wraps around, and an integer that the packer could not
/// have made is refused. A packer is cheap to clone, and serializes as its layout.
///
/// ```
/// use bunter::{BandCodes, DataId, OnError, PackColumn, Packer};
///
/// let packer = Packer::sky_map("hsc_rings_v1", 18938, 81, &BandCodes::Default)?;
/// let id = DataId::new().with("tract", 9813).with("patch", 31).with("band", "r");
/// let packed = packer.pack(&id)?;
/// assert_eq!(packed, 31 + 81 * (9813 + 18938 * 3));
/// assert_eq!(packer.unpack(packed)?, id.with("skymap", "hsc_rings_v1"));
///
/// // Whole columns, of any integer type.
/// let (tract, patch) = (vec![9813_i32, 9813], vec![31_u8, 32]);
/// let columns = [("tract", (&tract).into()), ("patch", (&patch).into()), ("band", PackColumn::value("r"))];
/// let ids = packer.pack_columns(&columns, OnError::Fail)?.ids;
/// assert_eq!(ids, [packed, packed + 1]);
/// # Ok::<(), bunter::PackError>(())
/// ```
#[derive(Clone)]
pub struct Packer {
    layout: Arc<PackLayout>,
    pub(super) plan: Arc<Plan>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Packer").field(&self.layout).finish()
    }
}

impl PartialEq for Packer {
    fn eq(&self, other: &Self) -> bool {
        self.layout == other.layout
    }
}

impl Eq for Packer {}

impl Serialize for Packer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.layout.serialize(serializer);
        }
        // Binary formats do not say what follows: they get one text.
        serde_json::to_string(&*self.layout).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Packer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let layout = if deserializer.is_human_readable() {
            PackLayout::deserialize(deserializer)?
        } else {
            serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)?
        };
        Self::new(layout).map_err(de::Error::custom)
    }
}

impl Packer {
    /// A packer of a layout.
    ///
    /// # Errors
    /// [`PackError::Layout`] for a layout that contradicts itself: overlapping fields, more than 64 bits, names twice, ….
    pub fn new(layout: PackLayout) -> Result<Self, PackError> {
        let plan = Plan::new(&layout).map_err(|problem| {
            let packer = if layout.name.is_empty() { "(unnamed)".to_owned() } else { layout.name.clone() };
            PackError::Layout { packer, problem }
        })?;
        Ok(Self { layout: Arc::new(layout), plan: Arc::new(plan) })
    }

    /// A packer of a layout in TOML; [`PackLayout`] has an example.
    ///
    /// # Errors
    /// [`PackError::Toml`], [`PackError::Layout`].
    pub fn from_toml(text: &str) -> Result<Self, PackError> {
        Self::new(PackLayout::from_toml(text)?)
    }

    /// The layout.
    pub fn layout(&self) -> &PackLayout {
        &self.layout
    }

    /// The name, for messages.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Bits that integers need, or that the layout reserves.
    pub fn bits(&self) -> u32 {
        self.plan.bits
    }

    /// The largest integer there is.
    pub fn max(&self) -> u64 {
        self.plan.most
    }

    /// Names that columns may have: fields, the least significant first, then identifiers.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.plan.names()
    }

    /// Columns that are unpacked unless the caller says otherwise.
    pub fn default_columns(&self) -> impl Iterator<Item = &str> {
        self.plan.output.iter().map(|t| &**self.plan.target_name(*t))
    }

    /// The texts of a field, by ascending code; `None` is the null. `None` for a field of integers.
    pub fn names(&self, field: &str) -> Option<&Arc<[Option<Arc<str>>]>> {
        match self.plan.target(field)? {
            Target::Digit(digit) => self.plan.digits[digit].names().map(|n| &n.names),
            Target::Identifier(_) => None,
        }
    }

    /// Whether a column may be left out when packing, and what stands for it then.
    pub(crate) fn has_default(&self, field: &str) -> bool {
        match self.plan.target(field) {
            Some(Target::Digit(digit)) => self.plan.digits[digit].missing.is_some(),
            Some(Target::Identifier(_)) => true,
            None => false,
        }
    }

    /// The integer of a data ID. Values of dimensions that the packer does not know are left aside.
    ///
    /// # Errors
    /// [`PackError::Rows`] for a value out of range, [`PackError::MissingColumn`], [`PackError::WrongType`],
    /// [`PackError::Fixed`] for a data ID of another sky map or instrument.
    pub fn pack(&self, id: &DataId) -> Result<u64, PackError> {
        for (name, expected) in &self.layout.fixed {
            if let Some(found) = id.get(name).filter(|found| *found != expected) {
                return Err(PackError::Fixed {
                    packer: self.plan.name.to_string(),
                    name: name.clone(),
                    expected: expected.to_string(),
                    found: found.to_string(),
                });
            }
        }
        let known = |(name, _): &(&str, &DimensionValue)| self.plan.target(name).is_some();
        let columns: Vec<_> =
            id.iter().filter(known).map(|(name, value)| (name, PackColumn::value(value.clone()))).collect();
        let mut packed = [0_u64];
        self.pack_into(&columns, packed.as_mut_slice(), None)?;
        Ok(packed[0])
    }

    /// The data ID of an integer, with the sky map or instrument that the packer fixes. Nulls are left out.
    ///
    /// # Errors
    /// [`PackError::Rows`] for an integer that the packer could not have made.
    pub fn unpack(&self, id: impl Into<i128>) -> Result<DataId, PackError> {
        let id = id.into();
        let (unsigned, signed) = ([id as u64], [id as i64]);
        let column = match (u64::try_from(id), i64::try_from(id)) {
            (Ok(_), _) => PackColumn::from(unsigned.as_slice()),
            (_, Ok(_)) => PackColumn::from(signed.as_slice()),
            _ => {
                let problem = format!("{id} is not a 64-bit integer");
                let first = vec![super::BadRow { row: 0, problem }];
                let packer = Arc::clone(&self.plan.name);
                return Err(PackError::Rows(BadRows { packer, doing: "unpacked", count: 1, rows: 1, first }));
            }
        };
        let unpacked = self.unpack_columns(&column, &[], OnError::Fail)?;
        let mut id = DataId::new();
        for (name, value) in &self.layout.fixed {
            id.set(name, value.clone());
        }
        for (name, column) in &unpacked.columns {
            if let Some(value) = column.value(0) {
                id.set(name, value);
            }
        }
        Ok(id)
    }

    /// The integers of columns by name. Fields with a default may be left out; a single value stands in every row.
    ///
    /// # Errors
    /// [`PackError::Rows`] with [`OnError::Fail`]; [`PackError::MissingColumn`], [`PackError::UnknownColumn`],
    /// [`PackError::Twice`], [`PackError::WrongType`], [`PackError::Length`].
    pub fn pack_columns(&self, columns: &[(&str, PackColumn<'_>)], on_error: OnError) -> Result<Packed, PackError> {
        let rows = columns.iter().find_map(|(_, c)| c.len()).unwrap_or(1);
        let mut ids = vec![0_u64; rows];
        let mut bad = (on_error == OnError::Mask).then(|| vec![false; rows]);
        let faults = self.pack_into(columns, ids.as_mut_slice(), bad.as_deref_mut())?;
        Ok(Packed { ids, bad, faults })
    }

    /// Packs columns into a buffer of any integer type that is wide enough, without a copy of any column.
    ///
    /// With a `mask`, rows that do not fit become 0 in `out` and true in the mask, all others false, and the faults are
    /// returned; without, they are an error, and `out` holds the other rows.
    ///
    /// # Errors
    /// As [`pack_columns`](Self::pack_columns), and [`PackError::OutputTooNarrow`].
    pub fn pack_into<'o>(
        &self,
        columns: &[(&str, PackColumn<'_>)],
        out: impl Into<IntViewMut<'o>>,
        mask: Option<&mut [bool]>,
    ) -> Result<Option<BadRows>, PackError> {
        let out = out.into();
        let rows = out.len();
        if i128::from(self.plan.most) > out.range().1 {
            return Err(PackError::OutputTooNarrow {
                packer: self.plan.name.to_string(),
                bits: self.plan.bits,
                found: out.type_name(),
            });
        }
        check_mask(mask.as_deref(), rows)?;
        let masked = mask.is_some();
        let faults = PackJob::new(&self.plan, columns, rows)?.run(out, mask);
        fail_unless(masked, faults)
    }

    /// Columns of packed integers. `names` are those wanted; empty means [`default_columns`](Self::default_columns).
    ///
    /// # Errors
    /// [`PackError::Rows`] with [`OnError::Fail`] for integers that the packer could not have made, nulls among them;
    /// [`PackError::UnknownColumn`], [`PackError::WrongType`], [`PackError::Twice`].
    pub fn unpack_columns(
        &self,
        ids: &PackColumn<'_>,
        names: &[&str],
        on_error: OnError,
    ) -> Result<Unpacked, PackError> {
        let rows = ids.len().unwrap_or(1);
        let targets = if names.is_empty() { self.plan.output.clone() } else { self.targets(names.iter().copied())? };
        let mut columns: Vec<_> = targets
            .iter()
            .map(|target| (Arc::clone(self.plan.target_name(*target)), self.empty_column(*target, rows)))
            .collect();
        let mut bad = (on_error == OnError::Mask).then(|| vec![false; rows]);
        let views = columns.iter_mut().map(|(_, c)| c.view()).collect();
        let faults = self.unpack_targets(ids, targets, views, bad.as_deref_mut())?;
        Ok(Unpacked { columns, bad, faults })
    }

    /// Unpacks into buffers of any integer types, contiguous or strided. A field of texts gives positions in
    /// [`names`](Self::names).
    ///
    /// With a `mask`, rows that do not fit (the packer, or the type of a buffer) become 0 everywhere and true in the mask, all
    /// others false, and the faults are returned; without, they are an error, and the buffers hold the other rows.
    ///
    /// # Errors
    /// As [`unpack_columns`](Self::unpack_columns), and [`PackError::Length`].
    pub fn unpack_into(
        &self,
        ids: &PackColumn<'_>,
        outputs: Vec<(&str, IntViewMut<'_>)>,
        mask: Option<&mut [bool]>,
    ) -> Result<Option<BadRows>, PackError> {
        let targets = self.targets(outputs.iter().map(|(name, _)| *name))?;
        let rows = ids.len().or(outputs.first().map(|(_, o)| o.len())).unwrap_or(1);
        for (name, output) in &outputs {
            if output.len() != rows {
                return Err(PackError::Length { name: (*name).to_owned(), found: output.len(), expected: rows });
            }
        }
        self.unpack_targets(ids, targets, outputs.into_iter().map(|(_, o)| o).collect(), mask)
    }

    /// Unpacks what was found for the names.
    pub(super) fn unpack_targets(
        &self,
        ids: &PackColumn<'_>,
        targets: Vec<Target>,
        outputs: Vec<IntViewMut<'_>>,
        mask: Option<&mut [bool]>,
    ) -> Result<Option<BadRows>, PackError> {
        let rows = ids.len().or(outputs.first().map(IntViewMut::len)).unwrap_or(1);
        check_mask(mask.as_deref(), rows)?;
        let masked = mask.is_some();
        let views: Vec<_> = outputs.iter().collect();
        let job = UnpackJob::new(&self.plan, ids, rows, targets, &views)?;
        fail_unless(masked, job.run(outputs, mask))
    }

    /// The fields and identifiers of these names.
    pub(super) fn targets<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Vec<Target>, PackError> {
        let mut targets = Vec::with_capacity(8);
        for name in names {
            let target = self.plan.target(name).ok_or_else(|| PackError::UnknownColumn {
                packer: self.plan.name.to_string(),
                name: name.to_owned(),
                near: near_miss(name, self.plan.names()),
                known: self.plan.names().collect::<Vec<_>>().join(", "),
            })?;
            if targets.contains(&target) || targets.len() == MOST_OUTPUTS {
                return Err(PackError::Twice { name: name.to_owned() });
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn empty_column(&self, target: Target, rows: usize) -> UnpackedColumn {
        match target {
            Target::Digit(digit) => {
                let digit = &self.plan.digits[digit];
                match digit.names() {
                    Some(table) => UnpackedColumn::Names { keys: vec![0; rows], names: Arc::clone(&table.names) },
                    None if digit.value(digit.top) > i128::from(i64::MAX) => UnpackedColumn::Unsigned(vec![0; rows]),
                    None => UnpackedColumn::Integers(vec![0; rows]),
                }
            }
            Target::Identifier(_) => UnpackedColumn::Integers(vec![0; rows]),
        }
    }
}

fn check_mask(mask: Option<&[bool]>, expected: usize) -> Result<(), PackError> {
    match mask {
        Some(mask) if mask.len() != expected => {
            Err(PackError::Length { name: "the mask".to_owned(), found: mask.len(), expected })
        }
        _ => Ok(()),
    }
}

fn fail_unless(masked: bool, faults: Option<BadRows>) -> Result<Option<BadRows>, PackError> {
    match faults {
        Some(faults) if !masked => Err(PackError::Rows(faults)),
        faults => Ok(faults),
    }
}
