"""A phantom of a frontal chest X-ray: torso, lungs, heart, bones, vessels. Lengths are in body units of `Canvas`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from ggcam.simulation.anatomy import SIDES, Chest, Mask, Side, draw_vessels
from ggcam.simulation.canvas import Canvas, Layer, Points, blur, smooth_curve, soft_mask

# Outlines as (fraction of the half-width of the thorax, fraction of the height from apex to diaphragm).
_LUNG = np.array(
    [
        *((0.30, 0.03), (0.43, -0.01), (0.58, 0.04), (0.74, 0.15), (0.86, 0.30), (0.94, 0.47), (0.985, 0.66)),
        *((1.0, 0.84), (1.0, 1.0), (0.985, 1.10), (0.975, 1.105), (0.90, 1.03), (0.75, 0.955), (0.56, 0.93)),
        *((0.36, 0.965), (0.22, 1.03), (0.14, 0.95), (0.12, 0.75), (0.12, 0.55), (0.13, 0.38), (0.16, 0.22)),
        (0.20, 0.10),
    ]
)
# Horizontally, as fractions of the heart's half-width on that side.
_RIGHT_HEART = np.array([(0.50, 0.43), (0.62, 0.52), (0.86, 0.64), (1.0, 0.79), (0.95, 0.93), (0.6, 1.04)])
_LEFT_HEART = np.array(
    [(0.2, 1.07), (0.62, 1.07), (0.92, 1.02), (1.0, 0.92), (0.94, 0.80), (0.76, 0.67), (0.54, 0.56), (0.40, 0.48)]
)
# Borders of the great vessels: body units from the midline, fractions of the height.
_RIGHT_VESSELS = np.array([(-0.045, -0.10), (-0.042, 0.08), (-0.047, 0.20), (-0.055, 0.34)])
_LEFT_VESSELS = np.array([(0.068, 0.46), (0.058, 0.40), (0.068, 0.34), (0.074, 0.29), (0.056, 0.22), (0.044, 0.08)])
_KNOB = (0.046, 0.30)
_VERTEBRA = 0.047


@dataclass(frozen=True)
class Body:
    """Properties of a patient, the same in all images; lengths in body units."""

    female: bool
    half_width: float
    apex: float
    height: float
    dome_offset: float
    heart_lean: float
    rib_slope: float
    rib_spacing: float
    bone: float
    breast: float
    bulk: float
    scoliosis: float
    knob: float

    @classmethod
    def draw(cls, rng: Generator) -> Body:
        """Draw a random patient.

        Args:
            rng: random generator of the patient.

        Returns:
            The patient's body.
        """
        female = bool(rng.random() < 0.5)
        return cls(
            female=female,
            half_width=rng.normal(0.300, 0.013),
            apex=rng.normal(0.125, 0.012),
            height=rng.normal(0.575, 0.028),
            dome_offset=rng.normal(0.020, 0.010),
            heart_lean=rng.normal(0.65, 0.03),
            rib_slope=rng.normal(0.085, 0.018),
            rib_spacing=rng.normal(0.060, 0.003),
            bone=rng.uniform(0.7, 1.25),
            breast=rng.uniform(0.03, 0.10) if female else rng.uniform(0.0, 0.025),
            bulk=rng.uniform(0.8, 1.2),
            scoliosis=rng.normal(0, 0.008),
            knob=rng.uniform(0.022, 0.034),
        )


@dataclass(frozen=True)
class Pose:
    """Position of the patient before the detector, and depth of the breath."""

    scale: float
    angle_rad: float
    shift_x: float
    shift_y: float
    turn: float
    breath: float

    @classmethod
    def draw(cls, rng: Generator) -> Pose:
        """Draw a random pose.

        Args:
            rng: random generator of the case.

        Returns:
            The pose.
        """
        return cls(
            scale=rng.normal(1.0, 0.035),
            angle_rad=rng.normal(0, 0.025),
            shift_x=rng.normal(0, 0.014),
            shift_y=rng.normal(0.01, 0.014),
            turn=rng.normal(0, 0.010),
            breath=rng.normal(1.0, 0.035),
        )

    def to_px(self, canvas: Canvas, points: np.ndarray) -> np.ndarray:
        """Convert positions in body units to pixels.

        Args:
            canvas: size of the image.
            points: x from the midline to the image's right, y downwards from the top, shape (..., 2).

        Returns:
            Positions in pixels of the image, shape (..., 2).
        """
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        rotated = (points - [0, 0.5]) @ np.array([[cos, sin], [-sin, cos]])
        shift = np.array([self.shift_x, self.shift_y])
        centre = np.array([canvas.width_px / 2, canvas.height_px / 2])
        return centre + canvas.unit_px * (self.scale * rotated + shift)


def draw_phantom(canvas: Canvas, body: Body, pose: Pose, cardiothoracic_ratio: float, rng: Generator) -> Chest:
    """Draw a chest without findings, apart from the size of its heart.

    Args:
        canvas: size of the image.
        body: the patient.
        pose: pose of the patient.
        cardiothoracic_ratio: width of the heart divided by the inner width of the thorax.
        rng: random generator of the case, for the vessels and the texture of the soft tissue.

    Returns:
        The chest.
    """
    parts = _PhantomParts(canvas, body, pose)
    lung = {side: canvas.fill(parts.lung(side)) for side in SIDES}
    heart = canvas.fill(parts.heart(cardiothoracic_ratio), parts.great_vessels())
    knob = canvas.fill(parts.knob())
    both = np.maximum(lung["left"], lung["right"])
    outside_heart = 1 - heart
    lungs: dict[Side, Mask] = {side: (lung[side] * outside_heart) > 0.5 for side in SIDES}
    # Like real masks of the mediastinum, this one ends at the diaphragm and at the apices.
    chest = Chest.build(np.zeros_like(both), lungs, heart > 0.5, knob > 0.5)

    unit = canvas.unit_px
    air = blur(both, 0.005 * unit)
    depth = blur(both, 0.05 * unit)
    soft_heart = blur(heart, 0.007 * unit)
    image = parts.soft_tissue(rng)
    image -= air * (0.10 + 0.28 * depth) * (1 - 0.86 * soft_heart)
    image += 0.03 * soft_heart + 0.05 * blur(knob, 0.006 * unit)
    for side in SIDES:
        tree = draw_vessels(canvas, rng, chest.hila[side], lungs[side], 11, 0.013 * unit)
        image += 0.13 * tree * air * (1 - 0.8 * soft_heart) * (0.75 + 0.5 * canvas.y_px / canvas.height_px)
        image += 0.09 * canvas.gaussian_spot(*chest.hila[side], 0.022 * unit, 0.035 * unit)
    image += body.bone * parts.torso * parts.bones()
    image += parts.airway() + parts.abdomen(both, rng)
    chest.attenuation[:] = image
    return chest


class _PhantomParts:
    """Outlines (in pixels) and layers of the parts of one body in one pose."""

    def __init__(self, canvas: Canvas, body: Body, pose: Pose):
        self.canvas, self.body, self.pose = canvas, body, pose
        self.height = body.height * pose.breath
        self.torso = canvas.fill(self._torso())

    def px(self, points: ArrayLike) -> np.ndarray:
        return self.pose.to_px(self.canvas, np.asarray(points, dtype=np.float64))

    def y(self, share: float) -> float:
        return self.body.apex + share * self.height

    def lung(self, side: Side) -> Points:
        sign, low = (1, self.body.dome_offset) if side == "left" else (-1, 0.0)
        x = sign * _LUNG[:, 0] * self.body.half_width * (1 + sign * self.pose.turn)
        y = self.body.apex + _LUNG[:, 1] * (self.height + low)
        return self.px(smooth_curve(np.stack([x, y], axis=1), closed=True))

    def heart(self, ratio: float) -> Points:
        width = 2 * ratio * self.body.half_width
        lean = self.body.heart_lean + 2 * self.pose.turn
        right = _RIGHT_HEART * [-(1 - lean) * width, 1]
        left = _LEFT_HEART * [lean * width, 1]
        outline = np.concatenate([right, left])
        outline[:, 1] = self.body.apex + outline[:, 1] * self.height
        return self.px(smooth_curve(outline, closed=True))

    def great_vessels(self) -> Points:
        outline = np.concatenate([_RIGHT_VESSELS, [(-0.05, 0.6), (0.08, 0.6)], _LEFT_VESSELS, [(0.042, -0.10)]])
        outline[:, 0] += self.pose.turn
        outline[:, 1] = self.body.apex + outline[:, 1] * self.height
        return self.px(smooth_curve(outline, closed=True))

    def knob(self) -> Points:
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        x = _KNOB[0] + self.pose.turn + self.body.knob * np.cos(angle)
        return self.px(np.stack([x, self.y(_KNOB[1]) + self.body.knob * np.sin(angle)], axis=1))

    def soft_tissue(self, rng: Generator) -> Layer:
        """Draw the torso with its thickness, the breasts, and the texture of muscle and fat."""
        body, unit, canvas = self.body, self.canvas.unit_px, self.canvas
        layer = self.torso * (0.20 + 0.42 * blur(self.torso, 0.06 * unit))
        layer *= 1 + 0.035 * canvas.smooth_noise(rng, 0.10 * unit) + 0.02 * canvas.smooth_noise(rng, 0.03 * unit)
        for sign in (-1, 1):
            x, y = self.px([(sign * body.half_width * 0.62, self.y(0.86) + 0.02)])[0]
            d2 = canvas.squared_distance(x, y, 0.135 * unit, 0.15 * unit)
            layer += body.breast * soft_mask(d2, sharpness=9)
        return layer

    def _torso(self) -> Points:
        side = self.body.half_width + 0.055 * self.body.bulk
        half = [(0.082, -0.15), (0.084, 0.02), (0.13, 0.065), (0.25, 0.10), (0.37, 0.14), (0.47, 0.20), (0.53, 0.34)]
        half += [(side + 0.09, 0.44), (side + 0.025, 0.50), (side + 0.012, 0.62), (side + 0.012, 0.85), (side, 1.2)]
        points = np.array(half)
        outline = np.concatenate([points, points[::-1] * [-1, 1]])
        return self.px(smooth_curve(outline, closed=False))

    def bones(self) -> Layer:
        """Draw ribs, clavicles, scapulae and spine."""
        unit, canvas = self.canvas.unit_px, self.canvas
        posterior, anterior = self._ribs()
        layer = 0.125 * self._bands(posterior, 0.021) + 0.07 * self._bands(anterior, 0.024)
        clavicles, blades = [], []
        for sign in (-1, 1):
            reach = self.body.half_width
            line = [
                (0.035, 0.075),
                (0.35 * reach, 0.055),
                (0.62 * reach, 0.015),
                (0.95 * reach, -0.01),
                (1.2 * reach, 0),
            ]
            points = [(sign * x + self.pose.turn, self.y(0.02) + y) for x, y in line]
            clavicles.append(self.px(smooth_curve(np.array(points), closed=False)))
            blade = [(0.78, 0.12), (0.80, 0.30), (0.93, 0.47), (1.06, 0.50), (1.25, 0.25), (1.32, 0.03), (1.0, 0.0)]
            points = [(sign * x * reach, self.y(y)) for x, y in blade]
            blades.append(self.px(smooth_curve(np.array(points), closed=True)))
        layer += 0.16 * self._bands(np.array(clavicles), 0.024)
        layer += 0.05 * blur(canvas.fill(*blades), 0.006 * unit)
        return layer + self._spine()

    def _ribs(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the lines of the posterior and the anterior ribs in pixels, shape (ribs, points, 2) each."""
        body, posterior, anterior = self.body, [], []
        t = np.linspace(0, 1, 10)
        for rib in range(10):
            start = body.apex - 0.005 + rib * body.rib_spacing
            end = start + body.rib_slope * (0.45 + 0.08 * rib)
            share = np.clip((end - body.apex) / self.height, 0.0, 1.0)
            reach = body.half_width * (1.015 * np.interp(share, _LUNG[1:9, 1], _LUNG[1:9, 0]) + 0.01)
            x = 0.03 + (reach - 0.03) * np.sin(t * np.pi / 2) ** 0.92
            y = start - 0.018 * np.sin(np.pi * np.minimum(1, 1.3 * t)) + (end - start) * t**2.4
            front_x = reach - (reach - 0.36 * body.half_width) * t**1.4
            front_y = end + 0.004 + (0.10 + 0.006 * rib) * np.sin(t * np.pi / 2) ** 1.2
            for sign in (-1, 1):
                shift = self.pose.turn * sign
                posterior.append(np.stack([sign * x + shift, y], axis=1))
                if rib < 7:
                    anterior.append(np.stack([sign * front_x - shift, front_y], axis=1))
        return self.px(posterior), self.px(anterior)

    def _bands(self, lines: np.ndarray, width: float) -> Layer:
        """Draw bones, which are tubes, as bands with brighter edges."""
        unit = self.canvas.unit_px
        band = self.canvas.stroke(lines, width * unit)
        # A blurred band is strongest in its middle, so subtracting it leaves the edges.
        return blur(band * (1 - 0.7 * blur(band, 0.25 * width * unit)), max(0.5, 0.0022 * unit))

    def _spine(self) -> Layer:
        unit, canvas = self.canvas.unit_px, self.canvas
        y = np.arange(-0.1, 1.15, _VERTEBRA)
        x = self.body.scoliosis * np.sin(3 * y) + 0.3 * self.pose.turn
        line = np.stack([x, y], axis=1)
        column = blur(canvas.stroke(self.px(line)[None], 0.078 * unit), 0.005 * unit)
        plates = self.px(line[:, None] + np.array([[-0.034, 0], [0.034, 0]]))
        return 0.085 * column + 0.03 * blur(canvas.stroke(plates, 0.007 * unit), 0.004 * unit)

    def airway(self) -> Layer:
        """Draw the air in trachea and main bronchi, which reduces the attenuation."""
        unit, carina = self.canvas.unit_px, self.y(0.38)
        shift = 0.6 * self.pose.turn
        trachea = self.px([[(shift, -0.1), (shift - 0.002, 0.12), (shift - 0.004, carina)]])
        bronchi = self.px([[(shift, carina), (sign * 0.06, carina + 0.045)] for sign in (-1, 1)])
        main, branches = self.canvas.stroke(trachea, 0.034 * unit), self.canvas.stroke(bronchi, 0.022 * unit)
        tube = np.maximum(main, 0.7 * branches)
        return -0.085 * blur(tube, 0.005 * unit)

    def abdomen(self, lungs: Layer, rng: Generator) -> Layer:
        """Draw the organs below the diaphragm, and often gas under its left dome."""
        unit, canvas = self.canvas.unit_px, self.canvas
        low = 1 / (1 + np.exp((float(self.px([(0, self.y(0.99))])[0, 1]) - canvas.y_px) / (0.012 * unit)))
        layer = 0.10 * low * self.torso * (1 - blur(lungs, 0.006 * unit))
        if rng.random() < 0.65:
            at = (rng.uniform(0.10, 0.18), self.y(1.07) + self.body.dome_offset + rng.uniform(0.01, 0.04))
            x, y = self.px([at])[0]
            radii = rng.uniform(0.025, 0.06) * unit, rng.uniform(0.015, 0.03) * unit
            d2 = canvas.squared_distance(x, y, *radii, rng.normal(0, 0.2))
            layer = layer - rng.uniform(0.06, 0.16) * soft_mask(d2, sharpness=5) * (1 - lungs)
        return layer
