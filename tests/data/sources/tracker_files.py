"""Three fixations on one image, written as the eye trackers and their programs export them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGE = "lung 1.png"
WIDTH, HEIGHT = 400, 300
SCREEN = (1600, 900)
RECT = (200.0, 0.0, 1400.0, 900.0)
"""The image is as large as it fits."""

POINTS = ((60.0, 50.0), (300.0, 120.0), (200.0, 250.0))
DURATION_S, PAUSE_S = 0.4, 0.1


@dataclass
class Fixation:
    """A fixation in pixels of the image."""

    x: float
    y: float
    start_s: float
    duration_s: float = DURATION_S


FIXATIONS = [Fixation(x, y, number * (DURATION_S + PAUSE_S)) for number, (x, y) in enumerate(POINTS)]


def on_screen(x: float, y: float) -> tuple[float, float]:
    scale = (RECT[2] - RECT[0]) / WIDTH
    return RECT[0] + x * scale, RECT[1] + y * scale


def samples(rate: float = 250, noise: float = 0.2) -> list[tuple[float, float, float, Fixation | None]]:
    """Time, position on the image and fixation of each sample; NaN between the fixations."""
    rng, found = np.random.default_rng(0), []
    for number in range(round(rate * (FIXATIONS[-1].start_s + DURATION_S))):
        time_s = number / rate
        now = next((each for each in FIXATIONS if -1e-9 <= time_s - each.start_s < DURATION_S - 1e-9), None)
        x, y = (now.x, now.y) if now else (np.nan, np.nan)
        found.append((time_s, *(np.array([x, y]) + rng.normal(0, noise, 2)).tolist(), now))
    return found


def write_lines(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return path


# --- EyeLink

T0 = 50_000


def eyelink_lines(
    rate: int = 500,
    eyes: str = "LEFT",
    kinds: str = "",
    extra: str = "",
    load: str = f"!V IMGLOAD CENTER ..\\images\\{IMAGE} 800 450 1200 900",
    with_samples: bool = True,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    coords: str = "DISPLAY_COORDS 0 0 1599 899",
    place: Callable[[float, float], tuple[float, float]] = on_screen,
) -> list[str]:
    lines = ["** CONVERTED FROM a.edf", f"MSG\t{T0 - 900} {coords}", f"MSG\t{T0 - 500} TRIALID 1", *before]
    lines += [
        f"START\t{T0 - 1}\t{eyes}\tSAMPLES\tEVENTS",
        f"SAMPLES\tGAZE\t{eyes}\tRATE\t{rate}.00\tTRACKING\tCR{kinds}",
    ]
    lines += [f"MSG\t{T0} {load}"] if load else []
    for time_s, x, y, _ in samples(rate) if with_samples else ():
        eye = "   .\t   .\t    0.0" if np.isnan(x) else "{:.1f}\t{:.1f}\t1000.0".format(*place(x, y))
        lines.append(f"{int(T0 + 1000 * time_s)}\t" + "\t".join([eye] * len(eyes.split())) + f"{extra}\t...")
    for each in FIXATIONS:
        start, end = round(T0 + 1000 * each.start_s), round(T0 + 1000 * (each.start_s + each.duration_s))
        x, y = place(each.x, each.y)
        lines += [f"EFIX {eye[0]} {start}\t{end - 2}\t{end - start}\t{x:.1f}\t{y:.1f}\t1000" for eye in eyes.split()]
    end = round(T0 + 1000 * (FIXATIONS[-1].start_s + DURATION_S))
    return [*lines, f"MSG\t{end} DISPLAY_OFF", *after, f"END\t{end + 50}\tSAMPLES\tEVENTS"]


# --- tables


def gazepoint_rows(fixations: bool) -> list[str]:
    rows = [
        "MEDIA_ID,MEDIA_NAME,CNT,TIME(2024/05/11 13:21:05.123),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,BPOGX,BPOGY,BPOGV,"
    ]
    last = {id(each): number for number, (*_, each) in enumerate(samples()) if each}
    for number, (time_s, x, y, now) in enumerate(samples()):
        if fixations and (now is None or last[id(now)] != number):
            continue
        ax, ay = on_screen(x, y) if now else (0.0, 0.0)
        fx, fy = on_screen(now.x, now.y) if now else (0.0, 0.0)
        which, start = (FIXATIONS.index(now) + 1, now.start_s) if now else (0, 0.0)
        duration = (DURATION_S if last[id(now)] == number else time_s - start) if now else 0.0
        valid = int(now is not None)
        rows.append(
            f"0,{IMAGE},{number},{time_s:.5f},{fx / SCREEN[0]:.5f},{fy / SCREEN[1]:.5f},{start:.5f},{duration:.5f},"
            f"{which},{valid},{ax / SCREEN[0]:.5f},{ay / SCREEN[1]:.5f},{valid},"
        )
    return rows


TOBII_HEAD = (
    "Sensor\tParticipant name\tRecording name\tRecording resolution height\tRecording resolution width\t"
    "Presented Media name\tPresented Media width\tPresented Media height\tPresented Media position X (DACSpx)\t"
    "Presented Media position Y (DACSpx)\tOriginal Media width\tOriginal Media height\tEye movement type\t"
    "Gaze event duration\tEye movement type index"
)


def tobii_rows(
    system: str = "DACSpx",
    time: str = "Recording timestamp [ms]",
    per_s: float = 1000.0,
    content: str = "samples",
    rate: float = 250,
    placed: bool = True,
    recording: str = "Recording1",
    t0_s: float = 3.0,
    points: Sequence[tuple[float, float]] = POINTS,
) -> list[str]:
    bracket = f" [{system}]" if system else ""
    columns = f"\tGaze point X{bracket}\tGaze point Y{bracket}" if content != "fixation rows" else ""
    rows = [f"{time}\t{TOBII_HEAD}{columns}\tFixation point X{bracket}\tFixation point Y{bracket}"]

    def place(x: float, y: float) -> tuple[float, float]:
        if system.startswith("MCS"):
            return (x / WIDTH, y / HEIGHT) if system == "MCSnorm" else (x, y)
        return on_screen(x, y)

    shown = "1200\t900\t200\t0\t400\t300" if placed else "\t\t\t\t400\t300"
    seen: set[int] = set()
    for time_s, x, y, now in samples(rate):
        index = FIXATIONS.index(now) if now else -1
        if content != "samples" and (now is None or index in seen):
            continue
        seen.add(index)
        shift = (points[index][0] - POINTS[index][0], points[index][1] - POINTS[index][1]) if now else (0.0, 0.0)
        at = "{:.4f}\t{:.4f}".format(*place(x + shift[0], y + shift[1])) if now else "\t"
        fixed = "{:.4f}\t{:.4f}".format(*place(now.x + shift[0], now.y + shift[1])) if now else "\t"
        kind = f"Fixation\t{1000 * DURATION_S:.0f}\t{index + 1}" if now else "Saccade\t100\t"
        gaze = f"\t{at}" if content != "fixation rows" else ""
        time_text = f"{round((t0_s + time_s) * per_s)}"
        about = f"Eye Tracker\tAnna\t{recording}\t900\t1600\t{IMAGE}\t{shown}"
        rows.append(f"{time_text}\t{about}\t{kind}{gaze}\t{fixed}")
    events = f"{round((t0_s - 0.1) * per_s)}\t\tAnna\t{recording}\t900\t1600\t\t\t\t\t\t\t\t\t\t"
    return [rows[0], events + "\t" * (rows[0].count("\t") - events.count("\t")), *rows[1:]]


def pupil_fixation_rows() -> list[str]:
    rows = ["world_timestamp,world_index,fixation_id,start_timestamp,duration,dispersion,norm_pos_x,norm_pos_y,on_surf"]
    for number, each in enumerate(FIXATIONS):
        for frame in range(12):
            at = f"{each.x / WIDTH:.5f},{1 - each.y / HEIGHT:.5f},True"
            start = 700 + each.start_s
            rows.append(f"{start + frame / 30},{frame},{number},{start:.4f},{1000 * each.duration_s:.3f},0.5,{at}")
        rows.append(
            f"{700 + each.start_s},12,{number},{700 + each.start_s:.4f},{1000 * each.duration_s:.3f},0.5,7.0,-9.0,False"
        )
    return rows


def pupil_gaze_rows() -> list[str]:
    rows = ["world_timestamp,world_index,gaze_timestamp,x_norm,y_norm,x_scaled,y_scaled,on_surf,confidence"]
    for time_s, x, y, now in samples():
        at = f"{x / WIDTH:.5f},{1 - y / HEIGHT:.5f},0,0,True,0.95" if now else "0.5,0.5,0,0,True,0.1"
        rows.append(f"{700 + time_s},0,{700 + time_s:.5f},{at}")
    return rows


def realeye_rows() -> list[str]:
    head = "item_filename,participant_display_name,fixation_point_x,fixation_point_y"
    head += ",fixation_starts_at_ms,fixation_duration_ms"
    return [
        head,
        *(
            f"{IMAGE},P1,{100 * each.x / WIDTH:.3f},{100 * each.y / HEIGHT:.3f},{1000 * each.start_s:.0f},"
            f"{1000 * DURATION_S:.0f}"
            for each in FIXATIONS
        ),
    ]


def psychopy_rows(unit: str = "pix") -> list[str]:
    rows = ["device_time,left_gaze_x,left_gaze_y"]
    for time_s, x, y, now in samples():
        across, down = on_screen(x, y)
        at = f"{across - SCREEN[0] / 2:.2f},{SCREEN[1] / 2 - down:.2f}" if now else ","
        rows.append(f"{133_087 + time_s:.5f},{at}")
    return rows


def point_rows(scale: tuple[float, float], per_s: float = 1000.0) -> list[str]:
    """A table of the user's own: fixations in other units."""
    return [
        "image,x,y,begin,lasting",
        *(
            f"{IMAGE},{each.x * scale[0]!r},{each.y * scale[1]!r},{each.start_s * per_s!r},{each.duration_s * per_s!r}"
            for each in FIXATIONS
        ),
    ]
