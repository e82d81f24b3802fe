"""Bodies of responses in JSON. OpenAPI describes them from these classes."""

from __future__ import annotations

from pydantic import BaseModel, Field

USE = "For research use. Not for diagnosis."


class ErrorDetails(BaseModel):
    """What is wrong with a request or an image."""

    what: str = Field(description="What the problem is.")
    where: str | None = Field(default=None, description="Parameter concerned.")
    expected: str | None = Field(default=None, description="What would be correct.")
    got: str | None = Field(default=None, description="What was found.")
    hint: str | None = Field(default=None, description="How to fix it.")


class ErrorBody(BaseModel):
    """A response without an answer."""

    error: ErrorDetails


class PixelsBody(BaseModel):
    """Pixels, row by row."""

    width: int
    height: int
    channels: int = Field(description="1: grey. 3: red, green, blue.")
    bits: int = Field(description="8, or 16 in little-endian order.")
    data: str = Field(description="The values in Base64.")


class PictureBody(BaseModel):
    """An image and its CAMs as the web page shows them."""

    image: PixelsBody = Field(description="The image in its display window, reduced to 1,024 pixels.")
    window: tuple[int, int] = Field(description="Grey values that are black and white at first.")
    cams: dict[str, PixelsBody] = Field(description="CAM of each class over the image, scaled to its range.")


class ImageBody(BaseModel):
    """The prediction for one image, or why there is none."""

    predicted: str | None = Field(default=None, description="The most probable class, or label.")
    probabilities: dict[str, float] | None = Field(default=None, description="Probability of each class, 0 to 1.")
    positive: dict[str, bool] | None = Field(
        default=None, description="Whether the probability reaches the threshold; without the classes that have none."
    )
    unusual: dict[str, str] | None = Field(
        default=None,
        description="Why the image is unlike the training images; absent if they are not known.",
    )
    image_size: tuple[int, int] | None = Field(default=None, description="Height and width in pixels.")
    is_dicom: bool = Field(description="Whether DICOM objects can be made.")
    picture: PictureBody | None = Field(default=None, description="With picture=true.")
    error: ErrorDetails | None = None


class PredictBody(BaseModel):
    """Predictions for the images of a request, in order."""

    use: str = USE
    images: list[ImageBody]


class LimitsBody(BaseModel):
    """What a request may have."""

    max_bytes: int = Field(description="Size of a request.")
    max_files: int = Field(description="Images in a request.")
    max_pixels: int = Field(description="Pixels of an image.")
    timeout_s: float = Field(description="Seconds for receiving a request, and again for answering it.")
    max_queue: int = Field(description="Images that wait or are being predicted; beyond it the answer is 503.")


class ModelBody(BaseModel):
    """The network that the service runs."""

    use: str = USE
    name: str
    version: str = Field(description="Version of ggcam.")
    weights_sha256: str
    engine: str
    precision: str = Field(description="What the network is computed in: 32 (float32), bf16 or int8.")
    class_names: list[str]
    multi_label: bool = Field(description="Whether an image may have several labels, or none.")
    frame: tuple[int, int] = Field(description="Height and width that images are brought to.")
    thresholds: dict[str, float] = Field(description="Probability from which an image counts as positive.")
    temperature: list[float] = Field(description="What the logits of each class are divided by.")
    calibrated_on: int | None = Field(description="Number of validation images of the calibration; 0: not calibrated.")
    validation_marked: tuple[int, int] | None = Field(
        description="Validation images marked as unlike the training images, and all of them."
    )
    limits: LimitsBody
    dicom_objects: bool = Field(description="Whether the service can make DICOM objects.")
    colours: str = Field(description="256 colours of the CAMs in Base64, three bytes each.")


class HealthBody(BaseModel):
    """Whether the service answers."""

    status: str
    waiting: int = Field(description="Images that wait or are being predicted.")
