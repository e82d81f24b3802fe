"""Probabilities, decisions and peaks as a Comprehensive 3D SR document with a TID 1500 measurement report."""

from __future__ import annotations

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForMeasurement,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ggcam.dicom_output.codes import class_code, long_string, own_code
from ggcam.dicom_output.model_identity import MANUFACTURER
from ggcam.dicom_output.options import RESEARCH_USE
from ggcam.dicom_output.subject import Subject
from ggcam.dicom_output.uids import derive_uid
from ggcam.inference.engines import PRECISION_NAMES
from ggcam.training.typicality import INVERTED, LAYOUT, MARKS

PREDICTED_CLASS = own_code("PREDICTED", "Most probable class")
DECISION = own_code("DECISION", "Decision at the threshold")
POSITIVE = own_code("POSITIVE", "Probability at or above the threshold")
NEGATIVE = own_code("NEGATIVE", "Probability below the threshold")
CALIBRATION = own_code("CALIBRATION", "Calibration of the probabilities")
UNUSUAL = own_code("UNUSUAL", "Unlike the training images")
NOT_UNUSUAL = own_code("NONE", "No difference found")
NOT_ASSESSED = own_code("NOT-ASSESSED", "Not assessed")
INTENDED_USE = own_code("USE", "Intended use")
RESEARCH = own_code("RESEARCH", RESEARCH_USE)

_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")


def structured_report(subject: Subject, class_map: Dataset | None) -> Comprehensive3DSR:
    """Make the report of an image.

    One measurement group per class has its probability, the threshold and the decision where the run has thresholds,
    and the largest value of the CAM with its position as a point in the source image. A first group is about the image
    as a whole: most probable class, calibration, and by what the image is unlike the training images.

    Args:
        subject: the image and its prediction.
        class_map: the Parametric Map to refer to; None without one.

    Returns:
        The report.
    """
    groups = [_image_group(subject), *(_class_group(subject, name, class_map) for name in subject.class_names)]
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_device(subject)),
        procedure_reported=_PROCEDURE,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    return Comprehensive3DSR(
        evidence=[subject.reference, *([] if class_map is None else [class_map])],
        content=report[0],
        is_complete=True,
        is_final=False,
        **subject.series("sr"),
    )


def _device(subject: Subject) -> ObserverContext:
    model = subject.model
    return ObserverContext(
        observer_type=CodedConcept.from_code(codes.DCM.Device),
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=derive_uid("device", *model.key),
            name=MANUFACTURER,
            manufacturer_name=MANUFACTURER,
            model_name=model.name,
            serial_number=model.weights_sha256,
        ),
    )


def _image_group(subject: Subject) -> MeasurementsAndQualitativeEvaluations:
    reference = subject.reference
    evaluations = [
        (INTENDED_USE, RESEARCH),
        (PREDICTED_CLASS, class_code(subject.result.predicted)),
        (CALIBRATION, _calibration(subject)),
        *((UNUSUAL, mark) for mark in _marks(subject)),
    ]
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(subject.uid("tracking", "image"), "image"),
        algorithm_id=_algorithm(subject),
        qualitative_evaluations=[QualitativeEvaluation(name, value) for name, value in evaluations],
        source_images=[SourceImageForMeasurementGroup(reference.SOPClassUID, reference.SOPInstanceUID)],
    )


def _class_group(
    subject: Subject, name: str, class_map: Dataset | None
) -> MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations:
    probability, threshold = subject.result.probabilities[name], subject.thresholds.get(name)
    measurements = [_measurement(codes.DCM.Probability, probability)]
    evaluations = []
    if threshold is not None:
        measurements.append(_measurement(codes.DCM.ThresholdValue, threshold))
        evaluations.append(QualitativeEvaluation(DECISION, POSITIVE if probability >= threshold else NEGATIVE))
    peak = subject.peak(name)
    if peak is not None:
        frame = subject.class_names.index(name) + 1
        measurements.append(_measurement(codes.DCM.ClassActivation, peak[2], class_map, frame))
    shared = {
        "tracking_identifier": TrackingIdentifier(subject.uid("tracking", "class", name), name),
        "finding_type": class_code(name),
        "algorithm_id": _algorithm(subject),
        "measurements": measurements,
        "qualitative_evaluations": evaluations,
    }
    if peak is None:
        return MeasurementsAndQualitativeEvaluations(**shared)
    row, column, _ = peak
    reference = subject.reference
    # The top left corner of the image is 0, 0 (PS3.3 C.18.6.1.1), so the centre of a pixel is half a pixel further on.
    region = ImageRegion(
        graphic_type="POINT",
        graphic_data=np.array([[column + 0.5, row + 0.5]]),
        source_image=SourceImageForRegion(reference.SOPClassUID, reference.SOPInstanceUID),
    )
    return PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **shared)


def _measurement(name: Code, value: float, class_map: Dataset | None = None, frame: int = 1) -> Measurement:
    images = (
        None
        if class_map is None
        else [SourceImageForMeasurement(class_map.SOPClassUID, class_map.SOPInstanceUID, [frame])]
    )
    return Measurement(name=name, value=value, unit=codes.UCUM.NoUnits, referenced_images=images)


def _algorithm(subject: Subject) -> AlgorithmIdentification:
    model = subject.model
    parameters = [f"SHA-256 of the weights: {model.weights_sha256}"]
    if model.temperature:
        parameters.append("temperature: " + ", ".join(f"{each:.6g}" for each in model.temperature))
    if model.thresholds:
        parameters.append("thresholds: largest sensitivity + specificity on the validation images")
    if model.lower_precision:
        parameters.append(f"computed in {PRECISION_NAMES[model.precision]}")
    return AlgorithmIdentification(f"{MANUFACTURER} {model.name}", model.version, parameters)


def _calibration(subject: Subject) -> CodedConcept:
    cases = subject.model.calibrated_on
    if cases == 0:
        return own_code("UNCALIBRATED", "Not calibrated")
    return own_code(
        "TEMPERATURE", "Temperature scaling" + ("" if cases is None else f" on {cases:,} validation images")
    )


def _marks(subject: Subject) -> list[CodedConcept]:
    unusual = subject.result.unusual
    if unusual is None:
        return [NOT_ASSESSED]
    return [own_code(f"MARK-{name}"[:16], _mark_meaning(name)) for name in unusual] or [NOT_UNUSUAL]


def _mark_meaning(name: str) -> str:
    mark = MARKS[LAYOUT if name == INVERTED else name]
    return long_string(f"{name}: {mark.measure}")
