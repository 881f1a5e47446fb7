"""The product: hears a binaural stream, keeps a scene, answers questions. numpy, onnxruntime and llama.cpp only; never torch."""
