//! basalt-node, the agent inside an image.
