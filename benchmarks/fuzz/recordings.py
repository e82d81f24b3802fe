"""Short recordings as eye trackers write them: three fixations on an image that fills a 1920x1080 screen in height."""

from __future__ import annotations

from collections.abc import Iterator

_POINTS = ((500, 200), (900, 500), (1200, 800))


def samples() -> dict[str, tuple[str, str]]:
    """Return the recordings.

    Returns:
        Tracker -> file name and content.
    """
    return {
        "eyelink": ("s1.asc", _eyelink()),
        "tobii": ("a.tsv", _tobii()),
        "gazepoint": ("User 0_all_gaze.csv", _gazepoint()),
        "pupil-labs": ("fixations_on_surface_img_1.csv", _pupil_labs()),
        "realeye": ("fixations.csv", _realeye()),
        "generic": ("img_1.csv", _generic()),
    }


def _gaze() -> Iterator[tuple[int, float, float]]:
    """Yield time in milliseconds and position on the screen, 4 ms apart."""
    for number, (x, y) in enumerate(_POINTS):
        for step in range(50):
            yield 200 * number + 4 * step, x + 0.1 * (step % 5), y + 0.1 * (step % 3)


def _eyelink() -> str:
    lines = [
        "** CONVERTED FROM s1.edf using edfapi",
        "MSG\t900 DISPLAY_COORDS 0 0 1919 1079",
        "MSG\t990 TRIALID 1",
        "START\t1000\tLEFT\tSAMPLES\tEVENTS",
        "SAMPLES\tGAZE\tLEFT\tRATE\t250.00\tTRACKING\tCR\tFILTER\t2",
        "MSG\t1000 !V IMGLOAD FILL img_1.png",
    ]
    lines += [f"{1000 + t}\t  {x:.1f}\t  {y:.1f}\t 1200.0\t..." for t, x, y in _gaze()]
    lines += [
        f"EFIX L\t{1000 + 200 * k}\t{1196 + 200 * k}\t200\t  {x}.0\t  {y}.0\t 1200" for k, (x, y) in enumerate(_POINTS)
    ]
    return "\n".join([*lines, "MSG\t1650 TRIAL_RESULT 0", "END\t1650\tSAMPLES\tEVENTS\tRES\t  38.0\t  36.0", ""])


def _tobii() -> str:
    names = (
        "Recording timestamp [ms]",
        "Participant name",
        "Recording name",
        "Presented Stimulus name",
        "Gaze point X",
        "Gaze point Y",
    )
    lines = ["\t".join(names)]
    lines += [f"{t}\tP1\tR1\timg_1.png\t{x:.1f}\t{y:.1f}" for t, x, y in _gaze()]
    return "\n".join([*lines, ""])


def _gazepoint() -> str:
    lines = [
        "MEDIA_ID,MEDIA_NAME,CNT,TIME(2026/01/01 10:00:00.000),TIMETICK(f=10000000),"
        "FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,BPOGX,BPOGY,BPOGV"
    ]
    for number, (t, x, y) in enumerate(_gaze()):
        fx, fy = x / 1920, y / 1080
        start, index = t // 200 * 0.2, t // 200 + 1
        lines.append(
            f"0,img_1.png,{number},{t / 1000:.5f},{10_000 * t},{fx:.5f},{fy:.5f},{start:.5f},{t / 1000 - start:.5f},"
            f"{index},1,{fx:.5f},{fy:.5f},1"
        )
    return "\n".join([*lines, ""])


def _pupil_labs() -> str:
    lines = [
        "world_timestamp,world_index,fixation_id,start_timestamp,duration,dispersion,norm_pos_x,norm_pos_y,x_scaled,y_scaled,on_surf"
    ]
    lines += [
        f"{10 + 0.2 * number + 0.03 * frame},{frame},{number},{10 + 0.2 * number},190.0,0.5,"
        f"{x / 1920:.4f},{1 - y / 1080:.4f},{x},{1080 - y},True"
        for number, (x, y) in enumerate(_POINTS)
        for frame in range(3)
    ]
    return "\n".join([*lines, ""])


def _realeye() -> str:
    lines = [
        "item_filename,participant_display_name,fixation_starts_at_ms,fixation_duration_ms,fixation_point_x,fixation_point_y"
    ]
    lines += [f"img_1.png,7,{200 * k},190,{x / 19.2:.2f},{y / 10.8:.2f}" for k, (x, y) in enumerate(_POINTS)]
    return "\n".join([*lines, ""])


def _generic() -> str:
    return "\n".join(["t,x,y", *(f"{t / 1000:.3f},{x / 4:.1f},{y / 3:.1f}" for t, x, y in _gaze()), ""])
