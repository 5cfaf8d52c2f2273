//! Packed data IDs are those of the reference implementation, both ways.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bunter::{BandCodes, DataId, OnError, PackColumn, Packer, RubinControllers};

/// The rows of a golden file, by column name.
fn golden(name: &str) -> Vec<BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/packers").join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| header.iter().zip(line.split(',')).map(|(h, v)| ((*h).to_owned(), v.to_owned())).collect();
    lines.map(row).collect()
}

fn int(row: &BTreeMap<String, String>, name: &str) -> i64 {
    row[name].parse().unwrap_or_else(|_| panic!("{name} of {row:?}"))
}

fn bands(mode: &str) -> BandCodes {
    let list = |names: &[&str], room| BandCodes::Listed(names.iter().map(|n| (*n).to_owned()).collect(), room);
    match mode {
        "none" => BandCodes::None,
        "fixed_1band" => list(&["r"], None),
        "ugrizy_6" => list(&["u", "g", "r", "i", "z", "y"], None),
        "ugrizy_reserve8" => list(&["u", "g", "r", "i", "z", "y"], Some(8)),
        "default_all" => BandCodes::Default,
        other => panic!("band mode {other}"),
    }
}

fn sky_map(name: &str, mode: &str) -> Packer {
    let (tracts, patches) = match name {
        "hsc_rings_v1" => (18938, 81),
        "lsst_cells_v1" => (18938, 100),
        _ => (18938, 49),
    };
    Packer::sky_map(name, tracts, patches, &bands(mode)).unwrap()
}

#[test]
fn sky_maps() {
    let rows = golden("skymap_packer.csv.gz");
    assert_eq!(rows.len(), 375);
    for row in &rows {
        let map = &row["skymap"];
        let (tracts, patches) = (int(row, "n_tracts") as u64, int(row, "n_patches") as u64);
        let packer = Packer::sky_map(map, tracts, patches, &bands(&row["band_mode"])).unwrap();
        assert_eq!(i64::from(packer.bits()), int(row, "max_bits"));
        let mut id = DataId::new().with("tract", int(row, "tract")).with("patch", int(row, "patch"));
        if !row["band"].is_empty() {
            id.set("band", row["band"].as_str());
        }
        let packed = packer.pack(&id).unwrap();
        assert_eq!(packed as i64, int(row, "packed"), "{row:?}");
        assert_eq!(packer.unpack(packed).unwrap(), id.with("skymap", map.as_str()));
    }
}

#[test]
fn the_default_bands_have_a_code_for_no_band() {
    let packer = Packer::sky_map("m", 10, 9, &BandCodes::Default).unwrap();
    let id = DataId::new().with("tract", 3).with("patch", 5);
    let packed = packer.pack(&id).unwrap();
    assert_eq!(packed, 5 + 9 * 3);
    assert_eq!(packer.unpack(packed).unwrap(), id.with("skymap", "m"));
    assert_eq!(packer.pack(&DataId::new().with("tract", 0).with("patch", 0).with("band", "N964")).unwrap(), 90 * 27);
    let wrong = packer.pack(&DataId::new().with("tract", 0).with("patch", 0).with("band", "N946")).unwrap_err();
    assert!(wrong.to_string().contains("did you mean `N964`?"), "{wrong}");
}

#[test]
fn observations() {
    let rows = golden("observation_packer.csv.gz");
    assert_eq!(rows.len(), 240);
    for row in &rows {
        let (kind, instrument) = (row["kind"].as_str(), row["instrument"].as_str());
        let packer =
            Packer::observation(instrument, kind, int(row, "n_detectors") as u64, int(row, "n_observations") as u64)
                .unwrap();
        assert_eq!(i64::from(packer.bits()), int(row, "max_bits"));
        let id = DataId::new().with(kind, int(row, "observation")).with("detector", int(row, "detector"));
        assert_eq!(packer.pack(&id).unwrap() as i64, int(row, "packed"));
        assert_eq!(packer.unpack(int(row, "packed")).unwrap(), id.with("instrument", instrument));
    }
}

fn rubin(config: &str) -> Packer {
    let controllers = if config == "default" { RubinControllers::Observatory } else { RubinControllers::All };
    Packer::rubin("LSSTCam", controllers).unwrap()
}

#[test]
fn rubin_by_parts_and_by_identifiers() {
    let rows = golden("rubin_packer.csv.gz");
    assert_eq!(rows.len(), 160);
    let mut lost = 0;
    for row in &rows {
        let packer = rubin(&row["config"]);
        assert_eq!(i64::from(packer.bits()), int(row, "max_bits"));
        let packed = int(row, "packed");
        let parts = DataId::new()
            .with("day_obs", int(row, "day_obs"))
            .with("seq_num", int(row, "seq_num"))
            .with("controller", row["controller"].as_str())
            .with("detector", int(row, "detector"))
            .with("one_to_one", int(row, "one_to_one"));
        assert_eq!(packer.pack(&parts).unwrap() as i64, packed, "{row:?}");
        // Every part, and both identifiers.
        let ids = [packed];
        let ids = PackColumn::from(ids.as_slice());
        let names = ["day_obs", "seq_num", "controller", "detector", "one_to_one", "exposure", "visit"];
        let unpacked = packer.unpack_columns(&ids, &names, OnError::Fail).unwrap();
        let value = |name: &str| unpacked.column(name).unwrap().value(0).unwrap().to_string();
        for name in &names[..5] {
            assert_eq!(value(name), row[*name], "{row:?}");
        }
        assert_eq!(value("exposure"), row["exposure_id"], "{row:?}");
        let nine = if row["one_to_one"] == "1" { "9" } else { "" };
        assert_eq!(value("visit"), format!("{nine}{}", row["exposure_id"]));
        if !row["visit_id"].is_empty() {
            assert_eq!(value("visit"), row["visit_id"]);
            let by_visit = DataId::new().with("visit", int(row, "visit_id")).with("detector", int(row, "detector"));
            assert_eq!(packer.pack(&by_visit).unwrap() as i64, packed);
            assert_eq!(packer.unpack(packed).unwrap(), by_visit.with("instrument", "LSSTCam"));
        }
        // A visit and the parts that it does not tell.
        let visit: i64 = value("visit").parse().unwrap();
        let told = DataId::new().with("visit", visit).with("detector", int(row, "detector"));
        let again = packer.pack(&told.clone().with("controller", row["controller"].as_str())).unwrap();
        assert_eq!(again as i64, packed);
        lost += usize::from(packer.pack(&told).unwrap() as i64 != packed);
        assert_eq!(packer.pack(&packer.unpack(packed).unwrap()).unwrap() as i64, packed);
    }
    // Controllers that are dropped from identifiers of late days, as the golden rows have some.
    assert_eq!(lost, 17);
}

#[test]
fn the_day_after_rubins_last_is_refused() {
    let packer = rubin("default");
    let id = |day: i64| DataId::new().with("day_obs", day).with("seq_num", 32767).with("detector", 255);
    assert_eq!(packer.unpack(packer.pack(&id(20_541_109)).unwrap()).unwrap().int("visit"), Some(2_054_110_932_767));
    let message = packer.pack(&id(20_541_110)).unwrap_err().to_string();
    assert_eq!(
        message,
        "`day_obs` is 20541110, expected a date from 20100101 to 20541109 cannot be packed by rubin:LSSTCam"
    );
    for day in [20_091_231, 20_230_229, 20_231_301, 0, -1, i64::MIN, i64::MAX] {
        assert!(packer.pack(&id(day)).is_err(), "{day}");
    }
}

#[test]
fn identifiers_that_cannot_be_are_refused() {
    let all = rubin("use_controllers");
    let visit = |v: i64| DataId::new().with("visit", v).with("detector", 0);
    // Controller P until 2025-04-17, C until 2023-10-04, H for ever.
    for good in [5_025_041_700_001, 3_023_100_400_001, 4_030_010_100_001, 92_025_112_900_001, 94_025_112_900_001] {
        assert_eq!(all.unpack(all.pack(&visit(good)).unwrap()).unwrap().int("visit"), Some(good));
    }
    for bad in [
        5_025_041_800_001,
        3_023_100_500_001,
        8_025_010_100_001,
        1_025_010_100_001,
        2_025_022_900_001,
        2_025_010_132_768,
        2_009_123_100_001,
        82_025_112_900_001,
        192_025_112_900_001,
        0,
        -1,
        i64::MIN,
        i64::MAX,
    ] {
        let error = all.pack(&visit(bad)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`visit` is {bad}, expected YYYYMMDDnnnnn from 20100101")), "{error}");
    }
    // Only one controller is known here.
    assert!(rubin("default").pack(&visit(4_030_010_100_001)).is_err());
    // An exposure has no 9.
    assert!(all.pack(&DataId::new().with("exposure", 92_025_112_900_001_i64).with("detector", 0)).is_err());
    // Parts and identifier that do not agree.
    let error = all.pack(&visit(2_025_010_100_007).with("seq_num", 8)).unwrap_err().to_string();
    assert!(error.contains("`visit` is 2025010100007, but the other columns make it 2025010100008"), "{error}");
}

#[test]
fn records() {
    let rows = golden("id_generator.csv.gz");
    assert_eq!(rows.len(), 524);
    for row in &rows {
        let name = row["packer"].as_str();
        let kind = if row["data_id"].contains("exposure") { "exposure" } else { "visit" };
        let inner = match name.split(':').collect::<Vec<_>>().as_slice() {
            ["skymap", map, mode] => sky_map(map, mode),
            ["obs", "HSC"] => Packer::observation("HSC", kind, 200, 21_474_800).unwrap(),
            ["obs", "DECam"] => Packer::observation("DECam", kind, 100, 1 << 25).unwrap(),
            ["obs", other] => Packer::observation(other, kind, 1000, 100_000_000).unwrap(),
            ["rubin", _] => rubin(if row["max_bits"] == "38" { "default" } else { "use_controllers" }),
            other => panic!("{other:?}"),
        };
        assert_eq!(i64::from(inner.bits()), int(row, "max_bits"), "{row:?}");
        let releases = int(row, "n_releases");
        let packer = inner.with_records(releases as u64).unwrap();
        assert_eq!(packer.bits(), 63);
        let mut id = DataId::new().with("counter", int(row, "counter"));
        for pair in row["data_id"].split(';') {
            let (name, value) = pair.split_once('=').unwrap();
            match value.parse::<i64>() {
                Ok(v) => id.set(name, v),
                Err(_) => id.set(name, value),
            }
        }
        assert_eq!(inner.pack(&id).unwrap() as i64, int(row, "packed"));
        if releases > 1 {
            id.set("release", int(row, "release_id"));
        }
        let record = packer.pack(&id).unwrap();
        assert_eq!(record as i64, int(row, "record_id"), "{row:?}");
        // What comes back has sky map or instrument besides.
        let back = packer.unpack(record).unwrap();
        assert_eq!(back.subset(id.iter().map(|(n, _)| n).collect::<Vec<_>>()), id);
        let catalog = inner.with_releases(releases as u64).unwrap();
        assert_eq!(catalog.pack(&id).unwrap() as i64, int(row, "catalog_id"));
        assert_eq!(packer.layout().fields[0].bits.map(i64::from), Some(int(row, "counter_bits")));
    }
}

/// The original divides the release by the number of data IDs and loses releases that are not smaller.
#[test]
fn every_release_comes_back() {
    let inner = Packer::sky_map("tiny", 2, 2, &BandCodes::None).unwrap();
    let packer = inner.with_records(1000).unwrap();
    for release in [0, 3, 4, 5, 999] {
        let id = DataId::new().with("tract", 1).with("patch", 1).with("counter", 7).with("release", release);
        assert_eq!(packer.unpack(packer.pack(&id).unwrap()).unwrap(), id.with("skymap", "tiny"));
    }
    let beyond = DataId::new().with("tract", 1).with("patch", 1).with("counter", 7).with("release", 1000);
    assert!(packer.pack(&beyond).is_err());
}

/// The original looks bands up by position.
#[test]
fn bands_are_found_by_their_codes() {
    let codes = BTreeMap::from([("g".to_owned(), 5), ("r".to_owned(), 2)]);
    let packer = Packer::sky_map("m", 4, 4, &BandCodes::Codes(codes, Some(7))).unwrap();
    for (band, code) in [("g", 5), ("r", 2)] {
        let packed = packer.pack(&DataId::new().with("tract", 0).with("patch", 0).with("band", band)).unwrap();
        assert_eq!(packed, 16 * code);
        assert_eq!(packer.unpack(packed).unwrap().str("band"), Some(band));
    }
    for hole in [0, 1, 3, 4, 6, 7] {
        assert!(packer.unpack(16_u64 * hole).is_err(), "{hole}");
    }
}

/// Whole files as columns: the same integers, and back.
#[test]
fn columns_of_a_golden_file() {
    let rows: Vec<_> = golden("observation_packer.csv.gz").into_iter().filter(|r| r["instrument"] == "DECam").collect();
    let packer = Packer::observation("DECam", "visit", 100, 1 << 25).unwrap();
    let visits: Vec<i32> = rows.iter().map(|r| int(r, "observation") as i32).collect();
    let detectors: Vec<u8> = rows.iter().map(|r| int(r, "detector") as u8).collect();
    let columns = [("visit", PackColumn::from(&visits)), ("detector", PackColumn::from(&detectors))];
    let packed = packer.pack_columns(&columns, OnError::Fail).unwrap();
    assert!(packed.ids.iter().zip(&rows).all(|(id, row)| *id as i64 == int(row, "packed")));
    let (mut v, mut d) = (vec![0_i32; rows.len()], vec![0_u8; rows.len()]);
    let outputs = vec![("visit", v.as_mut_slice().into()), ("detector", d.as_mut_slice().into())];
    packer.unpack_into(&PackColumn::from(&packed.ids), outputs, None).unwrap();
    assert_eq!((v, d), (visits, detectors));
}

/// Parts that other fields depend on, and parts that are constants, in columns of their own.
#[test]
fn constants_beside_identifiers() {
    let text = r#"
        [[identifier]]
        name = "exposure"
        kind = "rubin-exposure"
        [[field]]
        name = "seq_num"
        radix = 1000
        constant = 7
        [[field]]
        name = "day_obs"
        radix = 100
        epoch = 20250101
    "#;
    let packer = Packer::from_toml(text).unwrap();
    let (seq, day, exposure) = (vec![7_i16; 40], vec![20_250_102; 40], vec![2_025_010_200_007_i64; 40]);
    let parts = [("seq_num", PackColumn::from(&seq)), ("day_obs", PackColumn::from(&day))];
    assert_eq!(packer.pack_columns(&parts, OnError::Fail).unwrap().ids, vec![1007; 40]);
    let alone = [("exposure", PackColumn::from(&exposure))];
    assert_eq!(packer.pack_columns(&alone, OnError::Fail).unwrap().ids, vec![1007; 40]);
    let ids = vec![1007_u16; 40];
    let back = packer.unpack_columns(&PackColumn::from(&ids), &["exposure"], OnError::Fail).unwrap();
    assert_eq!(back.columns[0].1, bunter::UnpackedColumn::Integers(exposure));
    let wrong = vec![8_i16; 40];
    assert!(packer.pack_columns(&[("seq_num", PackColumn::from(&wrong)), parts[1].clone()], OnError::Fail).is_err());
}
