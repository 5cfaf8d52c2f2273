"""Builds all coadds of a sky map, a patch and band at a time, on the ranks of an MPI job.

    mpirun -n 4 python coadd_mpi.py REPOSITORY SKYMAP --output coadds/run1

Rank 0 opens the repository and broadcasts the butler, which travels as a snapshot of the registry: no other rank asks
the database. Each rank takes every n-th patch, reads of each image the pixels that overlap it, stacks them, and writes
the file. The rows go back to rank 0, which enters them in one transaction.
"""

import argparse
import sys
import traceback

from mpi4py import MPI

import bunter


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository")
    parser.add_argument("skymap")
    parser.add_argument("--output", required=True, metavar="RUN", help="the run that the coadds go to")
    parser.add_argument("--where", help="only images for which this is true")
    parser.add_argument("--dataset-type", default="calexp", metavar="TYPE")
    return parser.parse_args(arguments)


def work_list(butler, options):
    """Tract, patch and band of every coadd, and how many images touch it; the costly ones first."""
    overlaps = butler.query_overlaps(options.skymap, dataset_type=options.dataset_type, where=options.where)
    counts = {}
    for tract, patch, band in zip(overlaps["tract"], overlaps["patch"], overlaps["band"], strict=True):
        key = (int(tract), int(patch), band)
        counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (-counts[key], key))


def main(arguments=None):
    world = MPI.COMM_WORLD
    options = parse(arguments)
    butler = work = None
    if world.rank == 0:
        butler = bunter.Butler(options.repository, pickle_as="snapshot")
        work = work_list(butler, options)
        print(f"{len(work)} coadds on {world.size} ranks", flush=True)
    # The butler of rank 0 goes on to be the one that writes.
    reader = world.bcast(butler)
    work = world.bcast(work)

    stored, failures = [], []
    for tract, patch, band in work[world.rank :: world.size]:
        try:
            coadd = reader.build_coadd(
                options.skymap, tract, patch, band, dataset_type=options.dataset_type, where=options.where
            )
        except bunter.Error as error:
            failures.append(f"tract {tract}, patch {patch}, {band}: {error}")
            continue
        data_id = {"skymap": options.skymap, "tract": tract, "patch": patch, "band": band}
        stored.append(reader.store(coadd, "deepCoadd", data_id, run=options.output))

    stored, failures = world.gather(stored), world.gather(failures)
    failed = 0
    if world.rank == 0:
        entered = butler.enter(dataset for rank in stored for dataset in rank)
        failures = [text for rank in failures for text in rank]
        failed = len(failures)
        print(f"{entered} coadds in {options.output}, {failed} without pixels or failed", flush=True)
        for text in failures:
            print(text, file=sys.stderr)
    return 1 if world.bcast(failed) == len(work) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:
        # A rank that fails alone must not leave the others waiting.
        traceback.print_exc()
        MPI.COMM_WORLD.Abort(1)
