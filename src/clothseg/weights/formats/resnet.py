"""ResNet classifiers of ImageNet, as backbones. Torchvision and timm use the same names."""

from clothseg.weights.converted import BATCH_COUNTER, IMAGENET_CLASSIFIER, ConvertedWeights
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.formats.torchvision import backbone_name


def recognizes(file: TensorFile) -> bool:
    """Whether the file has the names of a ResNet without a detector."""
    return "conv1.weight" in file.tensors and "layer1.0.conv1.weight" in file.tensors


def convert(file: TensorFile) -> ConvertedWeights:
    """Converts a ResNet. Timm publishes safetensors, torchvision `.pth`."""
    origin = "timm" if file.container == "safetensors" else "torchvision"
    converted = ConvertedWeights(origin, f"ResNet without detector, with the names of {origin}")
    for key, tensor in file.tensors.items():
        if key.endswith("num_batches_tracked"):
            converted.unused[key] = BATCH_COUNTER
        elif key.startswith("fc."):
            converted.unused[key] = IMAGENET_CLASSIFIER
        else:
            converted.add(key, backbone_name(key), tensor)
    converted.settings = {"network": {"conventions": "torchvision"}}
    return converted
