"""Where sound comes from: files, microphones, sockets; resampling, chunking and channel health."""
