//! Columns of every type and stride, packed and unpacked, against one row at a time in 128-bit arithmetic; edges; masks; layouts
//! that cannot be.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int16Type;
use bunter::{
    BandCodes, DataId, FieldLayout, IntView, IntViewMut, LimitBy, NameCodes, OnError, PackColumn, PackError,
    PackLayout, PackedTable, Packer,
};
use ndarray::{Array1, Array2, s};
use proptest::prelude::*;

/// A field for the obviously right version: its place, how many values, which is the first.
#[derive(Clone, Debug)]
struct Plain {
    bits: bool,
    radix: u64,
    first: i64,
}

fn layout(fields: &[Plain]) -> PackLayout {
    let field = |(i, plain): (usize, &Plain)| {
        let name = format!("f{i}");
        let field = if plain.bits {
            FieldLayout::of_bits(&name, plain.radix.trailing_zeros())
        } else {
            FieldLayout::digit(&name, plain.radix)
        };
        FieldLayout { first: plain.first, ..field }
    };
    PackLayout {
        name: "plain".to_owned(),
        fields: fields.iter().enumerate().map(field).collect(),
        ..PackLayout::default()
    }
}

/// Packs one row, or `None` when it does not fit.
fn pack_plain(fields: &[Plain], row: &[i128]) -> Option<u128> {
    let (mut sum, mut weight, mut shift, mut product) = (0_u128, 1_u128, 0, 1_u128);
    for (i, (field, value)) in fields.iter().zip(row).enumerate() {
        if field.bits || i > 0 && fields[i - 1].bits {
            // A new place begins at the next bit.
            shift += 128 - (product - 1).leading_zeros();
            (weight, product) = (1 << shift, 1);
        }
        let code = value - i128::from(field.first);
        if code < 0 || code >= i128::from(field.radix) {
            return None;
        }
        sum += code as u128 * weight;
        weight *= u128::from(field.radix);
        product *= u128::from(field.radix);
    }
    Some(sum)
}

fn fields() -> impl Strategy<Value = Vec<Plain>> {
    let radix = prop_oneof![1_u64..10, 10_u64..5000, 5000..3_000_000_u64];
    let bits = (1_u32..12).prop_map(|b| 1_u64 << b);
    let field = prop_oneof![(radix, Just(false)), (bits, Just(true))];
    let first = prop_oneof![3 => Just(0_i64), 1 => -1000_i64..1000];
    prop::collection::vec((field, first).prop_map(|((radix, bits), first)| Plain { bits, radix, first }), 1..5)
        .prop_filter("64 bits", |fields| Packer::new(layout(fields)).is_ok())
}

/// Columns that mostly fit.
fn case() -> impl Strategy<Value = (Vec<Plain>, Vec<Vec<i64>>)> {
    (fields(), prop_oneof![0_usize..12, 1000_usize..2100]).prop_flat_map(|(fields, rows)| {
        let columns: Vec<_> = fields
            .iter()
            .map(|f| {
                let last = f.first + f.radix as i64 - 1;
                let good = f.first..=last;
                let edge = prop::sample::select(vec![f.first - 1, f.first, last, last + 1, -1, i64::MIN, i64::MAX]);
                prop::collection::vec(prop_oneof![2000 => good, 1 => edge], rows)
            })
            .collect();
        (Just(fields), columns)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(4), ..ProptestConfig::default() })]

    #[test]
    fn columns_are_rows_in_128_bits((fields, columns) in case()) {
        let packer = Packer::new(layout(&fields)).unwrap();
        let rows = columns[0].len();
        let names: Vec<String> = (0..fields.len()).map(|i| format!("f{i}")).collect();
        let named: Vec<_> = names.iter().zip(&columns).map(|(n, c)| (n.as_str(), PackColumn::from(c))).collect();
        let packed = packer.pack_columns(&named, OnError::Mask).unwrap();
        let bad = packed.bad.unwrap();
        let mut wrong = Vec::new();
        for row in 0..rows {
            let values: Vec<i128> = columns.iter().map(|c| i128::from(c[row])).collect();
            let expected = pack_plain(&fields, &values);
            prop_assert_eq!(bad[row], expected.is_none());
            prop_assert_eq!(u128::from(packed.ids[row]), expected.unwrap_or(0));
            if expected.is_none() {
                wrong.push(row);
            }
        }
        // The first of the rows at fault are named, and all are counted.
        let faults = packed.faults.map(|f| (f.count, f.first.iter().map(|b| b.row).collect::<Vec<_>>()));
        prop_assert_eq!(faults.unwrap_or_default(), (wrong.len(), wrong.iter().copied().take(5).collect::<Vec<_>>()));
        let failed = packer.pack_columns(&named, OnError::Fail);
        prop_assert_eq!(failed.is_err(), !wrong.is_empty());
        // One row at a time is a column of one.
        for row in (0..rows).step_by(97) {
            let id: DataId = names.iter().zip(&columns).map(|(n, c)| (n.as_str(), c[row])).collect();
            prop_assert_eq!(packer.pack(&id).ok(), (!bad[row]).then_some(packed.ids[row]));
        }
        // And back, into new columns and one value at a time.
        let wanted: Vec<_> = names.iter().map(String::as_str).collect();
        let ids = PackColumn::from(&packed.ids).with_missing(&bad).unwrap();
        let back = packer.unpack_columns(&ids, &wanted, OnError::Mask).unwrap();
        prop_assert_eq!(back.bad.as_ref().unwrap(), &bad);
        for (name, column) in names.iter().zip(&columns) {
            let unpacked = back.column(name).unwrap();
            for row in (0..rows).filter(|r| !bad[*r]) {
                prop_assert_eq!(unpacked.value(row).unwrap().as_int(), Some(column[row]));
            }
        }
    }

    #[test]
    fn what_is_unpacked_was_packed((fields, ids) in fields().prop_flat_map(|f| {
        let most = Packer::new(layout(&f)).unwrap().max();
        let near = prop::sample::select(vec![0, 1, most, most.saturating_add(1), u64::MAX, 1 << 63, (1 << 63) - 1]);
        (Just(f), prop::collection::vec(prop_oneof![20 => 0..=most, 2 => near, 1 => any::<u64>()], 1..1500))
    })) {
        let packer = Packer::new(layout(&fields)).unwrap();
        let unpacked = packer.unpack_columns(&PackColumn::from(&ids), &[], OnError::Mask).unwrap();
        let bad = unpacked.bad.clone().unwrap();
        for (row, id) in ids.iter().enumerate() {
            let values: Vec<i128> = unpacked
                .columns
                .iter()
                .map(|(_, c)| i128::from(c.value(row).unwrap().as_int().unwrap()))
                .collect();
            if bad[row] {
                prop_assert!(values.iter().all(|v| *v == 0));
                prop_assert!(packer.unpack(*id).is_err());
            } else {
                prop_assert_eq!(pack_plain(&fields, &values), Some(u128::from(*id)));
            }
        }
        // No number is refused that could have been made: all below 2^12 are tried both ways.
        for id in 0..packer.max().min(1 << 12) {
            if let Ok(values) = packer.unpack(id) {
                prop_assert_eq!(packer.pack(&values).unwrap(), id);
            }
        }
    }
}

/// Every small layout, every integer: made by some row, or refused.
#[test]
fn all_integers_of_small_layouts() {
    for radices in [[1, 1, 1], [2, 3, 5], [3, 1, 7], [7, 8, 9], [1, 16, 1], [5, 5, 5]] {
        for bits in [[false; 3], [false, true, false], [true, false, false], [false, false, true]] {
            let fields: Vec<_> = radices
                .iter()
                .zip(bits)
                .map(|(radix, bits)| Plain {
                    bits: bits && *radix > 1,
                    radix: if bits && *radix > 1 { 8 } else { *radix },
                    first: 0,
                })
                .collect();
            let packer = Packer::new(layout(&fields)).unwrap();
            let mut made = vec![false; 1 << (packer.bits() + 1)];
            let limits: Vec<_> = fields.iter().map(|f| i128::from(f.radix)).collect();
            for a in 0..limits[0] {
                for b in 0..limits[1] {
                    for c in 0..limits[2] {
                        made[pack_plain(&fields, &[a, b, c]).unwrap() as usize] = true;
                    }
                }
            }
            let ids: Vec<u64> = (0..made.len() as u64).collect();
            let unpacked = packer.unpack_columns(&PackColumn::from(&ids), &[], OnError::Mask).unwrap();
            let refused = unpacked.bad.unwrap();
            assert!(made.iter().zip(&refused).all(|(made, refused)| made != refused), "{fields:?}");
            assert_eq!(made.iter().rposition(|m| *m).unwrap() as u64, packer.max());
        }
    }
}

fn tract_patch() -> Packer {
    Packer::sky_map("m", 18938, 81, &BandCodes::None).unwrap()
}

/// Tracts and patches of 3000 rows, and the packed integers.
fn sample(rows: usize) -> (Vec<i64>, Vec<i64>, Vec<u64>) {
    let tract: Vec<i64> = (0..rows).map(|i| (i * 7919 % 18938) as i64).collect();
    let patch: Vec<i64> = (0..rows).map(|i| (i * 31 % 81) as i64).collect();
    let ids = tract.iter().zip(&patch).map(|(t, p)| (p + 81 * t) as u64).collect();
    (tract, patch, ids)
}

/// Every type of patch, tract and packed integer, in and out.
#[test]
fn every_integer_type() {
    let rows = 3000;
    let (tract, patch, ids) = sample(rows);
    macro_rules! with_type {
        ($($t:ty),*) => { $( {
            // Patches fit every type.
            let narrow: Vec<$t> = patch.iter().map(|v| <$t>::try_from(*v).unwrap()).collect();
            let columns = [("tract", PackColumn::from(&tract)), ("patch", PackColumn::from(&narrow))];
            assert_eq!(tract_patch().pack_columns(&columns, OnError::Fail).unwrap().ids, ids);
            let mut back = vec![<$t>::default(); rows];
            let outputs = vec![("patch", back.as_mut_slice().into())];
            tract_patch().unpack_into(&PackColumn::from(&ids), outputs, None).unwrap();
            assert_eq!(back, narrow);
            // Packed integers and tracts fit the wider ones; in the others the rows that do not are found.
            let mut wide = vec![<$t>::default(); rows];
            let packed = tract_patch().pack_into(&columns, wide.as_mut_slice(), None);
            if i128::from(<$t>::MAX) < 81 * 18938 - 1 {
                assert!(matches!(packed, Err(PackError::OutputTooNarrow { bits: 21, .. })), "{packed:?}");
            } else {
                packed.unwrap();
                assert!(wide.iter().zip(&ids).all(|(a, b)| i128::from(*a) == i128::from(*b)));
                let mut out = vec![0_u64; rows];
                tract_patch().unpack_into(&PackColumn::from(&wide), vec![("tract", out.as_mut_slice().into())], None).unwrap();
                assert!(out.iter().zip(&tract).all(|(a, b)| *a == *b as u64));
            }
            let (mut out, mut mask) = (vec![<$t>::default(); rows], vec![true; rows]);
            let faults = tract_patch()
                .unpack_into(&PackColumn::from(&ids), vec![("tract", out.as_mut_slice().into())], Some(&mut mask))
                .unwrap();
            for row in 0..rows {
                let fits = <$t>::try_from(tract[row]);
                assert_eq!((out[row], mask[row]), (fits.unwrap_or_default(), fits.is_err()));
            }
            assert_eq!(faults.map_or(0, |f| f.count), mask.iter().filter(|m| **m).count());
        } )* };
    }
    with_type!(i8, i16, i32, i64, u8, u16, u32, u64);
}

/// Minus one and the largest value of every type never wrap around.
#[test]
fn extremes_of_every_type() {
    let wide = Packer::new(layout(&[Plain { bits: true, radix: 1 << 63, first: 0 }])).unwrap();
    macro_rules! with_type {
        ($($t:ty),*) => { $( for rows in [1, 20, 2000] {
            for extreme in [<$t>::MIN, <$t>::MIN.wrapping_sub(1), <$t>::MAX, 0, 1] {
                let mut values = vec![0 as $t; rows];
                values[rows - 1] = extreme;
                let fits = i128::from(extreme) < 81 && i128::from(extreme) >= 0;
                let columns = [("tract", PackColumn::value(0)), ("patch", PackColumn::from(&values))];
                let packed = tract_patch().pack_columns(&columns, OnError::Mask).unwrap();
                assert_eq!(packed.bad.unwrap()[rows - 1], !fits, "{extreme} of {}", stringify!($t));
                let unpacked = tract_patch().unpack_columns(&PackColumn::from(&values), &[], OnError::Mask).unwrap();
                let fits = i128::from(extreme) < 81 * 18938 && i128::from(extreme) >= 0;
                assert_eq!(unpacked.bad.unwrap()[rows - 1], !fits);
                let packed = wide.pack_columns(&[("f0", PackColumn::from(&values))], OnError::Mask).unwrap();
                let fits = i128::from(extreme) >= 0 && i128::from(extreme) < 1 << 63;
                assert_eq!(packed.bad.unwrap()[rows - 1], !fits);
                assert_eq!(packed.ids[rows - 1], if fits { u64::try_from(extreme).unwrap() } else { 0 });
            }
        } )* };
    }
    with_type!(i8, i16, i32, i64, u8, u16, u32, u64);
}

/// All 64 bits, signed and unsigned.
#[test]
fn sixty_four_bits() {
    let all = Packer::from_toml("field = [{ name = 'x', bits = 64 }]").unwrap();
    assert_eq!((all.bits(), all.max()), (64, u64::MAX));
    let values: Vec<u64> = (0..40).map(|i| u64::MAX - i * 0x0123_4567_89ab_cdef).collect();
    let packed = all.pack_columns(&[("x", PackColumn::from(&values))], OnError::Fail).unwrap();
    assert_eq!(packed.ids, values);
    let back = all.unpack_columns(&PackColumn::from(&values), &[], OnError::Fail).unwrap();
    assert_eq!(back.columns[0].1, bunter::UnpackedColumn::Unsigned(values.clone()));
    // A signed column has no business there, nor in what is negative.
    let mut signed = vec![0_i64; 40];
    assert!(all.pack_into(&[("x", PackColumn::from(&values))], signed.as_mut_slice(), None).is_err());
    signed[7] = -1;
    assert!(all.pack_columns(&[("x", PackColumn::from(&signed))], OnError::Fail).is_err());
    assert!(all.unpack_columns(&PackColumn::from(&signed), &[], OnError::Fail).is_err());
    assert!(all.unpack(-1).is_err());
    assert!(all.unpack(1_i128 << 64).is_err());
    let signed = Packer::from_toml("field = [{ name = 'x', bits = 64, first = -9223372036854775808 }]").unwrap();
    for value in [i64::MIN, -1, 0, i64::MAX] {
        let id = DataId::new().with("x", value);
        assert_eq!(signed.unpack(signed.pack(&id).unwrap()).unwrap(), id);
    }
}

#[test]
fn views_with_gaps_and_backwards() {
    let rows = 2500;
    let (tract, patch, ids) = sample(rows);
    // A table of three columns, row by row.
    let mut table = Array2::<i32>::zeros((rows, 3));
    table.column_mut(0).assign(&Array1::from_iter(tract.iter().map(|v| *v as i32)));
    table.column_mut(2).assign(&Array1::from_iter(patch.iter().map(|v| *v as i32)));
    let columns = [("tract", PackColumn::from(table.column(0))), ("patch", PackColumn::from(table.column(2)))];
    let mut out = Array2::<i64>::zeros((rows, 2));
    tract_patch().pack_into(&columns, out.column_mut(1), None).unwrap();
    assert!(out.column(0).iter().all(|v| *v == 0));
    assert!(out.column(1).iter().zip(&ids).all(|(a, b)| *a as u64 == *b));
    // Backwards in, backwards out.
    let backwards = table.slice(s![..;-1, ..]);
    let columns = [("tract", PackColumn::from(backwards.column(0))), ("patch", PackColumn::from(backwards.column(2)))];
    let packed = tract_patch().pack_columns(&columns, OnError::Fail).unwrap();
    assert!(packed.ids.iter().rev().eq(&ids));
    let mut both = Array2::<i16>::zeros((2, 2 * rows));
    {
        let (mut a, mut b) = both.multi_slice_mut((s![0, ..;2], s![1, ..;-2]));
        let outputs = vec![("patch", IntViewMut::from(a.view_mut())), ("tract", IntViewMut::from(b.view_mut()))];
        tract_patch().unpack_into(&PackColumn::from(IntView::from(ids.as_slice())), outputs, None).unwrap();
    }
    assert!(both.slice(s![0, ..;2]).iter().zip(&patch).all(|(a, b)| i64::from(*a) == *b));
    assert!(both.slice(s![1, ..;-2]).iter().zip(&tract).all(|(a, b)| i64::from(*a) == *b));
    // A bad row among them is found where it is.
    table[[777, 2]] = -1;
    let columns = [("tract", PackColumn::from(table.column(0))), ("patch", PackColumn::from(table.column(2)))];
    let error = tract_patch().pack_columns(&columns, OnError::Fail).unwrap_err().to_string();
    assert_eq!(error, "1 of 2500 rows cannot be packed by skymap:m: row 777: `patch` is -1, expected 0 to 80");
}

/// Long columns are cut into parts for threads; whatever their number, the same comes out, with the first faults first.
#[test]
fn threads_change_nothing() {
    let rows = 400_000;
    let (tract, mut patch, mut ids) = sample(rows);
    for bad in [399_999, 65_536, 200_000, 70_000, 5, 300_000, 65_535] {
        patch[bad] = 81;
        ids[bad] = 0;
    }
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let columns = [("tract", PackColumn::from(&tract)), ("patch", PackColumn::from(&patch))];
            let packed = tract_patch().pack_columns(&columns, OnError::Mask).unwrap();
            assert_eq!(packed.ids, ids);
            let faults = packed.faults.unwrap();
            assert_eq!(faults.count, 7);
            assert_eq!(faults.first.iter().map(|b| b.row).collect::<Vec<_>>(), [5, 65_535, 65_536, 70_000, 200_000]);
            let text = faults.to_string();
            assert!(text.starts_with("7 of 400000 rows cannot be packed by skymap:m: row 5: `patch` is 81"), "{text}");
            assert!(text.ends_with("; and 2 more"), "{text}");
            let back = tract_patch().unpack_columns(&PackColumn::from(&ids), &["tract"], OnError::Fail).unwrap();
            let bunter::UnpackedColumn::Integers(back) = &back.columns[0].1 else { panic!("integers") };
            assert!((0..rows).all(|i| patch[i] == 81 || back[i] == tract[i]));
        });
    }
}

#[test]
fn nothing_to_do() {
    let none: Vec<i64> = Vec::new();
    let columns = [("tract", PackColumn::from(&none)), ("patch", PackColumn::from(&none))];
    assert!(tract_patch().pack_columns(&columns, OnError::Fail).unwrap().ids.is_empty());
    let unpacked = tract_patch().unpack_columns(&PackColumn::from(&none), &[], OnError::Mask).unwrap();
    assert!(unpacked.columns.iter().all(|(_, c)| c.is_empty()));
    assert_eq!(unpacked.faults, None);
}

fn bands() -> Packer {
    Packer::sky_map("m", 10, 9, &BandCodes::Default).unwrap()
}

#[test]
fn bands_as_texts_dictionaries_and_nulls() {
    let texts: Vec<Option<&str>> = ["r", "i", "r", "N921", "y"].into_iter().map(Some).chain([None]).collect();
    let codes = [3_u64, 4, 3, 22, 6, 0];
    let strings = StringArray::from(texts.clone());
    let dictionary: DictionaryArray<Int16Type> = texts.iter().copied().collect();
    let view = arrow::array::StringViewArray::from(texts.clone());
    let large = arrow::array::LargeStringArray::from(texts);
    let zero = PackColumn::value(0);
    for array in [&strings as &dyn Array, &dictionary, &view, &large] {
        let columns =
            [("tract", zero.clone()), ("patch", zero.clone()), ("band", PackColumn::arrow("band", array).unwrap())];
        let packed = bands().pack_columns(&columns, OnError::Fail).unwrap();
        assert!(packed.ids.iter().zip(codes).all(|(id, code)| *id == 90 * code), "{}", array.data_type());
        let ids = Int64Array::from(packed.ids.iter().map(|v| *v as i64).collect::<Vec<_>>());
        let (back, _) = bands().unpack_array(&ids, &["band"], OnError::Fail).unwrap();
        let back = arrow::compute::cast(&back[0].1, &arrow::datatypes::DataType::Utf8).unwrap();
        assert_eq!(back.as_string::<i32>(), &strings);
    }
    // Codes without nulls: a null is refused, and named.
    let strict = Packer::sky_map("m", 10, 9, &BandCodes::Listed(vec!["r".into(), "i".into()], None)).unwrap();
    let columns = [("tract", zero.clone()), ("patch", zero), ("band", PackColumn::arrow("band", &dictionary).unwrap())];
    let packed = strict.pack_columns(&columns, OnError::Mask).unwrap();
    assert_eq!(packed.bad.unwrap(), [false, false, false, true, true, true]);
    let text = packed.faults.unwrap().to_string();
    assert!(text.contains("row 3: `band` is \"N921\", expected one of r, i"), "{text}");
    assert!(text.contains("row 5: `band` is null"), "{text}");
    // Keys beyond the dictionary, and integers where texts belong.
    let names: Arc<[Option<Arc<str>>]> = vec![Some(Arc::from("r")), None].into();
    let keys = [0_i8, 1, 2, -1];
    let keyed = PackColumn::keys(keys.as_slice(), names);
    let columns = [("tract", PackColumn::value(0)), ("patch", PackColumn::value(0)), ("band", keyed)];
    let packed = bands().pack_columns(&columns, OnError::Mask).unwrap();
    assert_eq!((packed.ids, packed.bad.unwrap()), (vec![270, 0, 0, 0], vec![false, false, true, true]));
    let columns = [("tract", PackColumn::value(0)), ("patch", PackColumn::value(0)), ("band", PackColumn::value(3))];
    assert!(bands().pack_columns(&columns, OnError::Fail).is_err());
}

#[test]
fn nulls_of_integers() {
    let rows = 1500;
    let (tract, patch, ids) = sample(rows);
    let missing: Vec<bool> = (0..rows).map(|i| i % 500 == 3).collect();
    // What stands under a null is nobody's business.
    let under: Vec<i64> = tract.iter().zip(&missing).map(|(t, m)| if *m { i64::MIN } else { *t }).collect();
    let column = PackColumn::from(&under).with_missing(&missing).unwrap();
    let columns = [("tract", column), ("patch", PackColumn::from(&patch))];
    let packed = tract_patch().pack_columns(&columns, OnError::Mask).unwrap();
    assert_eq!(packed.bad.as_ref(), Some(&missing));
    assert!((0..rows).all(|i| packed.ids[i] == if missing[i] { 0 } else { ids[i] }));
    let error = tract_patch().pack_columns(&columns, OnError::Fail).unwrap_err().to_string();
    assert!(error.contains("3 of 1500 rows") && error.contains("row 503: `tract` is null"), "{error}");
    let array = Int64Array::from(ids.iter().zip(&missing).map(|(v, m)| (!m).then_some(*v as i64)).collect::<Vec<_>>());
    let (arrays, faults) = tract_patch().unpack_array(&array, &["patch", "tract"], OnError::Mask).unwrap();
    assert_eq!(faults.unwrap().count, 3);
    assert!((0..rows).all(|i| arrays[1].1.is_null(i) == missing[i]));
    assert!(tract_patch().unpack_array(&array, &[], OnError::Fail).is_err());
    assert!(PackColumn::from(&patch).with_missing(&missing[1..]).is_err());
    assert!(PackColumn::value(3).with_missing(&missing).is_err());
    // A column of nothing but nulls.
    let nothing = arrow::array::NullArray::new(rows);
    let columns = [("tract", PackColumn::arrow("tract", &nothing).unwrap()), ("patch", PackColumn::from(&patch))];
    assert_eq!(tract_patch().pack_columns(&columns, OnError::Mask).unwrap().faults.unwrap().count, rows);
    assert_eq!(tract_patch().unpack_array(&nothing, &[], OnError::Mask).unwrap().1.unwrap().count, rows);
    let columns = [
        ("tract", PackColumn::value(3)),
        ("patch", PackColumn::value(4)),
        ("band", PackColumn::arrow("band", &nothing).unwrap()),
    ];
    let packed = bands().pack_columns(&columns, OnError::Fail).unwrap();
    assert_eq!(packed.ids, vec![4 + 9 * 3; rows]);
    // A default stands in for nulls too.
    let records = tract_patch().with_records(64).unwrap();
    let release: PackColumn<'_> = PackColumn::from(&patch).with_missing(&vec![true; rows]).unwrap();
    let columns = [
        ("tract", PackColumn::from(&tract)),
        ("patch", PackColumn::from(&patch)),
        ("counter", PackColumn::value(1)),
        ("release", release),
    ];
    let packed = records.pack_columns(&columns, OnError::Fail).unwrap();
    assert!(packed.ids.iter().zip(&ids).all(|(a, b)| *a == (b << 36) + 1));
}

/// Dates, a limit that depends on another field, constants and defaults, together and in long columns.
#[test]
fn fields_of_every_kind() {
    let text = r#"
        name = "all"
        order = "most"
        fixed = { instrument = "Cam" }
        [[field]]
        name = "kind"
        bits = 2
        constant = 2
        [[field]]
        name = "day"
        radix = 1000
        epoch = 20240228
        [[field]]
        name = "slot"
        radix = 7
        limit_by = { field = "row", counts = [7, 0, 3] }
        [[field]]
        name = "row"
        radix = 3
        [[field]]
        name = "band"
        bits = 3
        null = 7
        names = { g = 5, r = 1 }
        [[field]]
        name = "delta"
        bits = 8
        first = -100
        limit = 200
        default = -5
    "#;
    let packer = Packer::from_toml(text).unwrap();
    assert_eq!(packer.bits(), 2 + 15 + 3 + 8);
    let again = Packer::from_toml(&packer.layout().to_toml().unwrap()).unwrap();
    assert_eq!(packer, again);
    let json: Packer = serde_json::from_str(&serde_json::to_string(&packer).unwrap()).unwrap();
    assert_eq!(packer, json);
    let (day, slot, row, band, delta) =
        (vec![20_240_229; 50], vec![2_u8; 50], vec![2_i8; 50], vec!["r"; 50], vec![99_i16; 50]);
    let bad_rows = [1_i8, 3, -1].map(|bad| (0..50).map(|i| if i == 33 { bad } else { 2 }).collect::<Vec<_>>());
    let columns = |row| {
        [
            ("day", PackColumn::from(&day)),
            ("slot", PackColumn::from(&slot)),
            ("row", row),
            ("band", PackColumn::texts(&band)),
            ("delta", PackColumn::from(&delta)),
        ]
    };
    let expected = 199 + (1 << 8) + ((2 + 3 * (2 + 7)) << 11) + (2 << 26);
    let packed = packer.pack_columns(&columns(PackColumn::from(&row)), OnError::Fail).unwrap();
    assert_eq!(packed.ids, vec![expected; 50]);
    let back = packer.unpack_columns(&PackColumn::from(&packed.ids), &["delta", "day", "band"], OnError::Fail).unwrap();
    let of = |i: usize| back.columns[i].1.value(49).unwrap().to_string();
    assert_eq!([of(0), of(1), of(2)], ["99", "20240229", "r"]);
    let id = packer.unpack(expected).unwrap();
    assert_eq!(id.to_string(), "{band: r, day: 20240229, delta: 99, instrument: Cam, row: 2, slot: 2}");
    assert_eq!(packer.pack(&id).unwrap(), expected);
    // Row 1 has no slots, row 2 has three.
    for row in &bad_rows {
        let error = packer.pack_columns(&columns(PackColumn::from(row)), OnError::Fail).unwrap_err().to_string();
        assert!(error.contains("1 of 50 rows") && error.contains("row 33"), "{error}");
    }
    for (wrong, says) in [
        (expected ^ 3 << 26, "`kind`, expected 2"),
        (expected + (1 << 28), "not one of this packer's"),
        (expected | 0xff, "`delta`, expected -100 to 99"),
        (expected + (1 << 8), "stands for nothing: expected one of r, g"),
        (expected + (3 << 11), "expected 0 to 2 where `row` is 2"),
        (expected - (1 << 11), "there is none where `row` is 1"),
        (2 << 26 | ((21_000) << 11) | (1 << 8), "together, expected at most 20999"),
    ] {
        let error = packer.unpack(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        let many = vec![wrong; 30];
        let masked = packer.unpack_columns(&PackColumn::from(&many), &[], OnError::Mask).unwrap();
        assert_eq!(masked.faults.unwrap().count, 30);
    }
    let other = packer.pack(&id.clone().with("instrument", "Other")).unwrap_err();
    assert!(matches!(other, PackError::Fixed { .. }));
    let mut null = id;
    null.set("delta", -5);
    let no_band = null.subset(["day", "slot", "row"]);
    assert_eq!(packer.unpack(packer.pack(&no_band).unwrap()).unwrap().get("band"), None);
}

#[test]
fn layouts_that_cannot_be() {
    for (text, says) in [
        ("", "no fields"),
        ("field = [{ name = 'a', radix = 0 }]", "radix 0"),
        ("field = [{ name = 'a', bits = 0 }]", "0 bits"),
        ("field = [{ name = 'a', bits = 65 }]", "65 bits"),
        ("field = [{ name = 'a' }]", "neither"),
        ("field = [{ name = 'a', bits = 3, radix = 3 }]", "give one"),
        ("field = [{ name = '', bits = 3 }]", "no name"),
        ("field = [{ name = 'a', bits = 3 }, { name = 'a', bits = 3 }]", "twice"),
        ("fixed = { a = 3 }\nfield = [{ name = 'a', bits = 3 }]", "twice"),
        ("field = [{ name = 'a', bits = 3 }, { name = 'b', bits = 3, shift = 2 }]", "overlaps"),
        ("field = [{ name = 'a', bits = 60 }, { name = 'b', bits = 5 }]", "beyond"),
        ("field = [{ name = 'a', bits = 1, shift = 64 }]", "beyond"),
        ("field = [{ name = 'a', bits = 1, shift = 4294967295 }]", "beyond"),
        (
            "field = [{ name = 'a', radix = 9223372036854775807 }, { name = 'b', radix = 9223372036854775807 }, { name = 'c', radix = 9223372036854775807 }]",
            "beyond",
        ),
        ("bits = 3\nfield = [{ name = 'a', bits = 4 }]", "`bits` is 3"),
        ("bits = 65\nfield = [{ name = 'a', bits = 4 }]", "`bits` is 65"),
        ("field = [{ name = 'a', bits = 4, limit = 17 }]", "limit 17"),
        ("field = [{ name = 'a', bits = 4, limit = 0 }]", "limit 0"),
        ("field = [{ name = 'a', bits = 4, default = 16 }]", "expected 0 to 15"),
        ("field = [{ name = 'a', bits = 4, default = 'x' }]", "expected 0 to 15"),
        ("field = [{ name = 'a', bits = 4, default = 1, constant = 1 }]", "give one"),
        ("field = [{ name = 'a', bits = 1, names = ['x', 'y', 'z'] }]", "codes 0 to 1"),
        ("field = [{ name = 'a', bits = 2, names = ['x', 'x'] }]", "twice"),
        ("field = [{ name = 'a', bits = 2, names = { x = 1, y = 1 } }]", "both have code 1"),
        ("field = [{ name = 'a', bits = 2, names = { x = 1 }, null = 1 }]", "both have code 1"),
        ("field = [{ name = 'a', bits = 2, names = [] }]", "empty"),
        ("field = [{ name = 'a', bits = 2, names = [''] }]", "empty"),
        ("field = [{ name = 'a', bits = 60, names = ['x'] }]", "at most 65536"),
        ("field = [{ name = 'a', bits = 2, null = 1 }]", "fields of texts"),
        ("field = [{ name = 'a', bits = 2, names = ['x'], epoch = 20200101 }]", "not both"),
        ("field = [{ name = 'a', bits = 2, names = ['x'], first = 1 }]", "`first`"),
        ("field = [{ name = 'a', bits = 2, epoch = 20200230 }]", "no date"),
        ("field = [{ name = 'a', bits = 60, epoch = 20200101 }]", "9999"),
        ("field = [{ name = 'a', radix = 4000000, epoch = 10101 }]", "9999"),
        ("field = [{ name = 'a', bits = 2, limit_by = { field = 'b', counts = [] } }]", "no other field"),
        ("field = [{ name = 'a', bits = 2, limit_by = { field = 'a', counts = [] } }]", "no other field"),
        (
            "field = [{ name = 'a', bits = 2, limit_by = { field = 'b', counts = [1] } }, { name = 'b', bits = 1 }]",
            "1 counts",
        ),
        ("output = ['b']\nfield = [{ name = 'a', bits = 2 }]", "`output`"),
        (
            "field = [{ name = 'a', bits = 2 }]\nidentifier = [{ name = 'v', kind = 'rubin-visit' }]",
            "needs a field `day_obs`",
        ),
        ("field = [{ name = 'a', bits = 2, colour = 3 }]", "colour"),
        ("field = 3", "field"),
        ("field = [{ name = 'a', bits = -2 }]", "bits"),
        (
            "field = [{ name = 'a', bits = 64, first = -1, limit = 9223372036854775807 }, { name = 'b', bits = 1 }]",
            "beyond",
        ),
    ] {
        let error = Packer::from_toml(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let fields = (0..33).map(|i| FieldLayout::digit(&format!("f{i}"), 1)).collect();
    let error = Packer::new(PackLayout { fields, ..PackLayout::default() }).unwrap_err().to_string();
    assert!(error.contains("33 fields"), "{error}");
    let chain = (0..9).map(|i| FieldLayout {
        limit_by: Some(LimitBy { field: format!("f{}", (i + 1) % 9), counts: vec![2, 2] }),
        ..FieldLayout::of_bits(&format!("f{i}"), 1)
    });
    let error = Packer::new(PackLayout { fields: chain.collect(), ..PackLayout::default() }).unwrap_err().to_string();
    assert!(error.contains("depend on each other"), "{error}");
    let names = NameCodes::List((0..65536).map(|i| format!("n{i}")).collect());
    let many = FieldLayout { names: Some(names), ..FieldLayout::of_bits("a", 16) };
    let packer = Packer::new(PackLayout { fields: vec![many], ..PackLayout::default() }).unwrap();
    assert_eq!(packer.pack(&DataId::new().with("a", "n65535")).unwrap(), 65535);
}

#[test]
fn columns_that_do_not_belong() {
    let (a, b) = (vec![1_i64; 3], vec![1_i64; 4]);
    let packer = tract_patch();
    let pack = |columns: &[(&str, PackColumn<'_>)]| packer.pack_columns(columns, OnError::Fail).unwrap_err();
    let error = pack(&[("tract", PackColumn::from(&a))]);
    assert_eq!(error.to_string(), "packer skymap:m needs a column or value `patch`; given are tract");
    let error = pack(&[("tract", PackColumn::from(&a)), ("pathc", PackColumn::from(&a))]);
    assert!(error.to_string().contains("did you mean `patch`?"), "{error}");
    let error = pack(&[("tract", PackColumn::from(&a)), ("patch", PackColumn::from(&b))]);
    assert_eq!(error, PackError::Length { name: "patch".into(), found: 4, expected: 3 });
    let error = pack(&[("tract", PackColumn::from(&a)), ("tract", PackColumn::from(&a))]);
    assert_eq!(error, PackError::Twice { name: "tract".into() });
    let error = pack(&[("tract", PackColumn::from(&a)), ("patch", PackColumn::texts(&["a", "b", "c"]))]);
    assert!(matches!(error, PackError::WrongType { .. }));
    let floats = arrow::array::Float64Array::from(vec![1.0]);
    assert!(matches!(PackColumn::arrow("tract", &floats), Err(PackError::WrongType { .. })));
    let mut mask = [false; 2];
    let columns = [("tract", PackColumn::from(&a)), ("patch", PackColumn::from(&a))];
    let mut out = [0_u64; 3];
    assert!(packer.pack_into(&columns, out.as_mut_slice(), Some(&mut mask)).is_err());
    assert!(packer.unpack_columns(&PackColumn::from(&a), &["tract", "tract"], OnError::Fail).is_err());
    assert!(packer.unpack_columns(&PackColumn::from(&a), &["detector"], OnError::Fail).is_err());
    assert!(packer.unpack_into(&PackColumn::from(&a), vec![("tract", b.clone().as_mut_slice().into())], None).is_err());
    assert!(packer.unpack_columns(&PackColumn::texts(&["a"]), &[], OnError::Fail).is_err());
}

#[test]
fn tables_keep_their_other_columns() {
    let array = |values: Vec<i32>| -> ArrayRef { Arc::new(Int32Array::from(values)) };
    let batch = RecordBatch::try_from_iter([
        ("id", array(vec![1, 2, 3])),
        ("tract", array(vec![5, 6, 7])),
        ("flux", array(vec![8, 9, 10])),
        ("patch", array(vec![0, 1, 80])),
    ])
    .unwrap();
    let table = PackedTable::new(tract_patch(), "id");
    let (packed, _) = table.pack(&batch).unwrap();
    let names = |b: &RecordBatch| b.schema_ref().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(&packed), ["id", "tract", "flux", "patch"]);
    assert_eq!(packed.schema(), table.packed_schema(batch.schema_ref()));
    assert_eq!(packed.column(0).as_ref(), &Int64Array::from(vec![405, 487, 647]) as &dyn Array);
    let (back, _) = table.clone().without_id().unpack(&packed).unwrap();
    assert_eq!(names(&back), ["tract", "flux", "patch"]);
    assert_eq!(back.column(2).as_ref(), &Int64Array::from(vec![0, 1, 80]) as &dyn Array);
    let renamed = PackedTable::new(tract_patch(), "id").with_columns(&[("patch", "flux")]).unwrap();
    assert_eq!(renamed.packer().name(), "skymap:m");
    let (back, _) = renamed.unpack(&packed).unwrap();
    assert_eq!(names(&back), ["id", "tract", "flux", "patch"]);
    assert_eq!(back.column(2).as_ref(), &Int64Array::from(vec![0, 1, 80]) as &dyn Array);
    let absent = PackedTable::new(tract_patch(), "di").unpack(&packed).unwrap_err().to_string();
    assert!(absent.contains("did you mean `id`?"), "{absent}");
    let constant = PackedTable::new(tract_patch(), "new").with_constants(DataId::new().with("tract", 100));
    let (packed, _) = constant.pack(&batch).unwrap();
    assert_eq!(packed.column(4).as_ref(), &Int64Array::from(vec![8100, 8101, 8180]) as &dyn Array);
    // A row that does not fit is null, or an error.
    let bad = RecordBatch::try_from_iter([("id", array(vec![1, -2]))]).unwrap();
    assert!(table.unpack(&bad).is_err());
    let (masked, faults) = table.on_error(OnError::Mask).unpack(&bad).unwrap();
    assert_eq!(faults.unwrap().first[0].problem, "-2 is negative");
    assert!(masked.column(1).is_null(1) && masked.column(1).is_valid(0));
}
