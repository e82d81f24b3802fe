"""Images from a DICOMweb server, and results back to it: what makes `ggcam serve` part of a PACS."""
