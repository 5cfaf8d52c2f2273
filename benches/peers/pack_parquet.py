"""Parquet in, unpacked Parquet out, by pyarrow and numpy in bounded memory: seconds to standard output.

    python3 benches/peers/pack_parquet.py IN OUT THREADS

The output is packed as Bunter packs it, by zstd of level 1.
"""

import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def main():
    pa.set_cpu_count(int(sys.argv[3]))
    start = time.perf_counter()
    source = pq.ParquetFile(sys.argv[1])
    writer = None
    for batch in source.iter_batches(batch_size=1 << 20):
        ids = batch.column("id").to_numpy()
        if (ids < 0).any():
            raise ValueError
        rest, counter = np.divmod(ids, 1 << 36)
        release, packed = np.divmod(rest, 1 << 21)
        tract, patch = np.divmod(packed, 81)
        if (tract >= 18938).any() or (release >= 64).any():
            raise ValueError
        columns = dict(zip(batch.schema.names, batch.columns))
        columns.update(counter=counter, patch=patch, tract=tract, release=release)
        table = pa.table(columns)
        if writer is None:
            writer = pq.ParquetWriter(sys.argv[2], table.schema, compression="zstd", compression_level=1)
        writer.write_table(table)
    writer.close()
    print(time.perf_counter() - start)


main()
