"""Published weights: `model.weights=<scheme>:<entry>`, from a peer's file to a model of ours.

    name -> source (finds or fetches the file) -> reading (tensors, safely) -> key map (our names)
         -> matching (shapes, class head; whatever does not fit is named) -> model

A card says what the weights were trained on and how a clip is prepared for them (`card`); `entry`
turns a name into both. `sources/` has a file a scheme, `key_maps/` a file a family of models,
`cards/` a file an entry whose publisher gives no such metadata in a form that can be read.
"""
