"""Environment variables that must be set before torch, transformers and deepspeed are imported."""

QUIET = {
    "OMP_NUM_THREADS": "1",  # a thread pool does not survive a fork
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # importing inductor starts a pool of workers otherwise
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # counting GPUs through the CUDA runtime spoils later forks
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
