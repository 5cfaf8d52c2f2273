//! The house keeps its floors: a room may use the rooms on floors below, and beside it only those declared here.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every room, its floor, and the rooms on the same floor that it may use.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("sphere", 0, &[]),
    ("wcs", 0, &["sphere"]),
    ("dimension", 0, &[]),
    ("skymap", 0, &["dimension", "sphere", "wcs"]),
    ("dataset", 0, &["dimension", "wcs"]),
    ("camera", 0, &["dataset", "dimension", "sphere", "wcs"]),
    ("registry", 1, &[]),
    // The snapshot answers the registry's reading contract.
    ("snapshot", 1, &["registry"]),
    ("datastore", 1, &[]),
    ("butler", 2, &[]),
    ("coadd", 2, &["butler"]),
    ("plot", 2, &["butler"]),
    ("simulate", 2, &[]),
    ("ranks", 3, &[]),
    ("cli", 4, &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names of rooms that the code of a file (not its comments) reaches by `crate::ROOM`.
fn rooms_used(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for line in code.lines() {
        let line = line.split("//").next().unwrap_or("");
        for part in line.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if part[name.len()..].starts_with("::") || part[name.len()..].starts_with(';') {
                rooms.push(name);
            }
        }
        // `use crate::{a::…, b::…}` hides its rooms from the line-by-line look; the house does not write it.
        assert!(!line.contains("use crate::{"), "write one `use crate::room` line a room instead of `{line}`");
    }
    rooms
}

#[test]
fn no_room_reaches_up_or_sideways_undeclared() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (room, floor, beside) in ROOMS {
        let folder = src.join(room);
        assert!(folder.is_dir(), "room `{room}` is declared here but src/{room}/ does not exist");
        let mut files = Vec::new();
        sources(&folder, &mut files);
        for file in files {
            for used in rooms_used(&fs::read_to_string(&file).unwrap()) {
                let Some((_, below, _)) = ROOMS.iter().find(|(name, ..)| *name == used) else { continue };
                arrows += 1;
                let allowed = used == *room || below < floor || (below == floor && beside.contains(&used.as_str()));
                if !allowed {
                    wrong.push(format!("{} uses `{used}`", file.strip_prefix(&src).unwrap().display()));
                }
            }
        }
    }
    assert!(arrows > 50, "only {arrows} uses were found: the look at the sources has gone blind");
    assert!(wrong.is_empty(), "arrows up or undeclared sideways:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_folder_is_a_declared_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            assert!(ROOMS.iter().any(|(room, ..)| *room == name), "src/{name}/ is no declared room");
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let place = file.strip_prefix(&src).unwrap().display().to_string();
        let may = place.starts_with("snapshot/")
            || place.starts_with("datastore/")
            || ["ranks/mpi.rs", "dimension/pack/lines/x86.rs"].contains(&place.as_str());
        let code = fs::read_to_string(&file).unwrap();
        assert!(
            may || !code.contains("unsafe {"),
            "{place}: unsafe code outside of snapshot/, datastore/, ranks/mpi.rs, dimension/pack/lines/x86.rs"
        );
    }
}

#[test]
fn each_outside_name_stays_in_its_file() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for (crate_name, home) in
        [("mpi::", "ranks/mpi.rs"), ("bincode::", "dataset/codec.rs"), ("rusqlite::", "registry/")]
    {
        for file in &files {
            let place = file.strip_prefix(&src).unwrap().display().to_string();
            let code = fs::read_to_string(file).unwrap();
            let named = code.lines().any(|line| {
                let line = line.split("//").next().unwrap_or("");
                line.match_indices(crate_name).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                })
            });
            assert!(!named || place.starts_with(home), "{place} names `{crate_name}`, which is for {home}");
        }
    }
}
