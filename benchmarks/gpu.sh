#!/usr/bin/env bash
# Run the GPU tests and benchmarks (python -m benchmarks.gpu) with a Python that has PyTorch: $PYTHON, .venv's, or python3.
# Nothing is downloaded: packages that this Python lacks come from the wheels in $WHEELS, which `make gpu-wheels` fills.
set -euo pipefail
cd "$(dirname "$0")/.."
wheels=${WHEELS:-wheels}

# Asks for each name whether such a package is there, without importing it, which would take seconds.
installed='import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))'

python=
for candidate in "${PYTHON:-}" .venv/bin/python python3; do
    if [ -n "$candidate" ] && "$candidate" -c "$installed" torch 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    if compgen -G "/dev/nvidia[0-9]*" >/dev/null; then
        echo "make gpu: there is a GPU, but no Python with PyTorch; set PYTHON, or install it with 'make .venv'" >&2
        exit 1
    fi
    echo "There is no GPU on this machine (and no Python with PyTorch), so nothing was run."
    exit 0
fi

export PYTHONPATH=$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
if ! "$python" -c "$installed" beartype cattrs pydicom tyro; then
    if ! compgen -G "$wheels/*.whl" >/dev/null; then
        if ! "$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then
            echo "There is no GPU that PyTorch can use on this machine, so nothing was run."
            exit 0
        fi
        echo "make gpu: $python lacks packages, and there are no wheels in $wheels/;" \
            "run 'make gpu-wheels' where there is a package index and bring that folder here" >&2
        exit 1
    fi
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --no-cache-dir \
        --target "$site" "$wheels"/*.whl
    export PYTHONPATH=$site:$PYTHONPATH
fi
"$python" -m benchmarks.gpu "$@"
