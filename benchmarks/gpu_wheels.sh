#!/usr/bin/env bash
# Download the wheels that `make gpu` needs on a machine with PyTorch but without a package index, to the folder $1.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-wheels}
limit=60000000 # bytes

rm -rf "$folder"
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --constraint constraints.txt --requirement benchmarks/gpu_wheels.txt --dest "$folder"

total=0
for wheel in "$folder"/*.whl; do
    size=$(wc -c <"$wheel")
    total=$((total + size))
    printf '%10d  %s\n' "$size" "$(basename "$wheel")"
done
printf '%10d  bytes in all\n' "$total"
if [ "$total" -ge "$limit" ]; then
    echo "make gpu-wheels: more than $limit bytes" >&2
    exit 1
fi
