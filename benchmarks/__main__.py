"""`make bench`: run every benchmark and print medians a case and the ratio, other / ours."""

from __future__ import annotations

from benchmarks import gaze_maps, guidance, prediction, training_step


def main() -> None:
    for module in (gaze_maps, guidance, prediction, training_step):
        for result in module.run():
            print(result, flush=True)


if __name__ == "__main__":
    main()
