# Installs the wheel of clothseg and its libraries: sh install.sh cuda|cpu|none INDEX FOLDER
set -eu
torch=$1
index=$2
folder=$3
wheel=$(ls "$folder"/wheels/clothseg-*.whl)

case $torch in
  cuda) ;;
  cpu)
    if [ -z "$index" ]; then
      echo "TORCH=cpu needs TORCH_INDEX: the address of PyTorch's CPU builds; pytorch.org shows it after --index-url" >&2
      exit 1
    fi
    # That index has few versions of what both need; the command at the end brings the pinned ones.
    pip install --no-cache-dir --no-deps --constraint "$folder/constraints.txt" --index-url "$index" torch torchvision
    ;;
  none)
    pip install --no-cache-dir --no-deps "$wheel"
    pip install --no-cache-dir --constraint "$folder/constraints.txt" --requirement "$folder/requirements-onnx.txt"
    exit 0
    ;;
  *)
    echo "TORCH=$torch: there is cuda, cpu and none" >&2
    exit 1
    ;;
esac
pip install --no-cache-dir --constraint "$folder/constraints.txt" "$wheel[heic,onnx,serve,video]"
