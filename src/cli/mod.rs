//! *A person typed this; what should happen, and how is it shown?*
//!
//! One file a subcommand: its options, the call into the library, the words around the answer. Data goes to standard
//! output, messages and progress to standard error. Exit codes: 0 done, 1 failed, 2 not understood.
//!
//! Leaves out: everything that a program could also want, which is in the rooms below.

#![expect(clippy::doc_markdown, reason = "these comments are the help that a person reads in a terminal")]

mod build_coadds;
mod collections;
mod coverage;
mod create;
mod error;
mod find_patches;
mod get;
mod ingest;
mod measure_stars;
mod migrate;
mod output;
mod overlaps;
mod pack;
mod plot;
mod preview;
mod progress;
mod queries;
mod query_camera;
mod query_regions;
mod register;
mod register_visits;
mod select;
mod simulate;
mod skymaps;
mod table_output;
mod update_regions;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use error::CliError;

/// A data butler for survey astronomy: where every image is, what overlaps what on the sky, and coadds under MPI.
#[derive(Debug, Parser)]
#[command(name = "bunter", version, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    /// Say more: once for what is done, twice for every step.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Simulate(simulate::Simulate),
    Create(create::Create),
    Migrate(migrate::Migrate),
    RegisterInstrument(register::RegisterInstrument),
    RegisterVisits(register_visits::RegisterVisits),
    RegisterSkymap(skymaps::RegisterSkymap),
    MakeDiscreteSkymap(skymaps::MakeDiscreteSkymap),
    RegisterDatasetType(register::RegisterDatasetType),
    Ingest(ingest::Ingest),
    QueryDatasets(queries::QueryDatasets),
    QueryDatasetTypes(queries::QueryDatasetTypes),
    QueryCollections(queries::QueryCollections),
    QueryDimensionRecords(queries::QueryDimensionRecords),
    QueryDataIds(queries::QueryDataIds),
    QueryOverlaps(queries::QueryOverlaps),
    FindPatches(find_patches::FindPatches),
    Overlaps(overlaps::Overlaps),
    Plot(plot::Plot),
    Coverage(coverage::CoverageCommand),
    QueryRegions(query_regions::QueryRegions),
    UpdateRegions(update_regions::UpdateRegions),
    QueryCamera(query_camera::QueryCamera),
    Pack(pack::Pack),
    Unpack(pack::Unpack),
    Get(get::Get),
    BuildCoadds(build_coadds::BuildCoadds),
    Preview(preview::Preview),
    MeasureStars(measure_stars::MeasureStars),
    Verify(verify::Verify),
    Associate(collections::Associate),
    CertifyCalibrations(collections::CertifyCalibrations),
    CollectionChain(collections::CollectionChain),
    DecertifyCalibrations(collections::DecertifyCalibrations),
    GiveRun(collections::GiveRun),
    Provenance(collections::Provenance),
    PruneDatasets(collections::PruneDatasets),
    QueryCalibrations(collections::QueryCalibrations),
    RemoveCollections(collections::RemoveCollections),
    SealRun(collections::SealRun),
    Watch(collections::Watch),
}

/// Reads the command line, does what it says, and gives the exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BUNTER_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("bunter={level}"))),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
    let done = match cli.command {
        Command::Simulate(command) => command.run(),
        Command::Create(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::RegisterInstrument(command) => command.run(),
        Command::RegisterVisits(command) => command.run(),
        Command::RegisterSkymap(command) => command.run(),
        Command::MakeDiscreteSkymap(command) => command.run(),
        Command::RegisterDatasetType(command) => command.run(),
        Command::Ingest(command) => command.run(),
        Command::QueryDatasets(command) => command.run(),
        Command::QueryDatasetTypes(command) => command.run(),
        Command::QueryCollections(command) => command.run(),
        Command::QueryDimensionRecords(command) => command.run(),
        Command::QueryDataIds(command) => command.run(),
        Command::QueryOverlaps(command) => command.run(),
        Command::FindPatches(command) => command.run(),
        Command::Overlaps(command) => command.run(),
        Command::Plot(command) => command.run(),
        Command::Coverage(command) => command.run(),
        Command::QueryRegions(command) => command.run(),
        Command::UpdateRegions(command) => command.run(),
        Command::QueryCamera(command) => command.run(),
        Command::Pack(command) => command.run(),
        Command::Unpack(command) => command.run(),
        Command::Get(command) => command.run(),
        Command::BuildCoadds(command) => command.run(),
        Command::Preview(command) => command.run(),
        Command::MeasureStars(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Associate(command) => command.run(),
        Command::CertifyCalibrations(command) => command.run(),
        Command::CollectionChain(command) => command.run(),
        Command::DecertifyCalibrations(command) => command.run(),
        Command::GiveRun(command) => command.run(),
        Command::Provenance(command) => command.run(),
        Command::PruneDatasets(command) => command.run(),
        Command::QueryCalibrations(command) => command.run(),
        Command::RemoveCollections(command) => command.run(),
        Command::SealRun(command) => command.run(),
        Command::Watch(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            error.exit_code()
        }
    }
}
