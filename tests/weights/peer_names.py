"""How the peers name the tensors of their networks, module by module, told apart from our key maps.

Each function lists (module there, module here) of a network. They were read off pytorchvideo 0.1.5
and MMAction2 1.2.0, against which the slow tests hold them, and off facebookresearch/SlowFast
(slowfast/models: resnet_helper.py, stem_helper.py, nonlocal_helper.py, head_helper.py,
video_model_builder.py, attention.py), which no registry has.
"""

import torch

#: Layers of a bottleneck here -> there.
BOTTLENECK = {
    "pytorchvideo": {
        **{f"conv{i}": f"branch2.conv_{part}" for i, part in enumerate("abc", 1)},
        **{f"bn{i}": f"branch2.norm_{part}" for i, part in enumerate("abc", 1)},
        "downsample.0": "branch1_conv",
        "downsample.1": "branch1_norm",
    },
    "pyslowfast": {
        **{f"conv{i}": f"branch2.{part}" for i, part in enumerate("abc", 1)},
        **{f"bn{i}": f"branch2.{part}_bn" for i, part in enumerate("abc", 1)},
        "downsample.0": "branch1",
        "downsample.1": "branch1_bn",
    },
    "mmaction": {
        **{f"conv{i}": f"conv{i}.conv" for i in (1, 2, 3)},
        **{f"bn{i}": f"conv{i}.bn" for i in (1, 2, 3)},
        "downsample.0": "downsample.conv",
        "downsample.1": "downsample.bn",
    },
}
#: Layers of an inverted bottleneck of X3D here -> there.
INVERTED = {
    "pytorchvideo": {
        "change.0": "branch2.conv_a",
        "change.1": "branch2.norm_a",
        "change.3": "branch2.conv_b",
        "change.4": "branch2.norm_b.0",
        "change.5.weigh.0": "branch2.norm_b.1.block.0",
        "change.5.weigh.2": "branch2.norm_b.1.block.2",
        "change.7": "branch2.conv_c",
        "last_norm": "branch2.norm_c",
        "shortcut.0": "branch1_conv",
        "shortcut.1": "branch1_norm",
    },
    "pyslowfast": {
        "change.0": "branch2.a",
        "change.1": "branch2.a_bn",
        "change.3": "branch2.b",
        "change.4": "branch2.b_bn",
        "change.5.weigh.0": "branch2.se.fc1",
        "change.5.weigh.2": "branch2.se.fc2",
        "change.7": "branch2.c",
        "last_norm": "branch2.c_bn",
        "shortcut.0": "branch1",
        "shortcut.1": "branch1_bn",
    },
    "mmaction": {
        "change.0": "conv1.conv",
        "change.1": "conv1.bn",
        "change.3": "conv2.conv",
        "change.4": "conv2.bn",
        "change.5.weigh.0": "se_module.fc1",
        "change.5.weigh.2": "se_module.fc2",
        "change.7": "conv3.conv",
        "last_norm": "conv3.bn",
        "shortcut.0": "downsample.conv",
        "shortcut.1": "downsample.bn",
    },
}


def resnet_3d(layout, model):
    """C2D, I3D, Slow."""
    stem = {
        "pytorchvideo": ("blocks.0.conv", "blocks.0.norm"),
        "pyslowfast": ("s1.pathway0_stem.conv", "s1.pathway0_stem.bn"),
        "mmaction": ("backbone.conv1.conv", "backbone.conv1.bn"),
    }[layout]
    shift = int(model.temporal_pool > 1)  # pytorchvideo's pool is a block
    head = {
        "pytorchvideo": f"blocks.{5 + shift}.proj",
        "pyslowfast": "head.projection",
        "mmaction": "cls_head.fc_cls",
    }[layout]
    pairs = [(stem[0], "stem.conv1"), (stem[1], "stem.bn1"), (head, "classifier")]
    for i in range(2, 6):
        stage = getattr(model, f"res{i}")
        place = i - 1 + (shift if i > 2 else 0)
        for b in range(len(stage.blocks)):
            block = {
                "pytorchvideo": f"blocks.{place}.res_blocks.{b}",
                "pyslowfast": f"s{i}.pathway0_res{b}",
                "mmaction": f"backbone.layer{i - 1}.{b}",
            }[layout]
            pairs += _inside(block, f"res{i}.blocks.{b}", BOTTLENECK[layout])
        for b in stage.non_local:
            own = f"res{i}.non_local.{b}"
            if layout == "pyslowfast":
                at = f"s{i}.pathway0_nonlocal{b}"
                pairs += [(f"{at}.conv_{part}", f"{own}.{part}") for part in ("theta", "phi", "g")]
                pairs += [(f"{at}.conv_out", f"{own}.output"), (f"{at}.bn", f"{own}.norm")]
    return pairs


def slowfast(layout, model):
    """SlowFast."""
    head = {
        "pytorchvideo": "blocks.6.proj",
        "pyslowfast": "head.projection",
        "mmaction": "cls_head.fc_cls",
    }[layout]
    pairs = [(head, "classifier")]
    for i in range(4):
        lateral = {
            "pytorchvideo": (f"blocks.{i}.multipathway_fusion.", "conv_fast_to_slow", "norm"),
            "pyslowfast": (f"s{i + 1}_fuse.", "conv_f2s", "bn"),
            "mmaction": (
                f"backbone.slow_path.{f'layer{i}' if i else 'conv1'}_lateral.",
                "conv",
                "bn",
            ),
        }[layout]
        at, conv, norm = lateral
        pairs += [(at + conv, f"laterals.{i}.conv"), (at + norm, f"laterals.{i}.norm")]
    for number, name in enumerate(("slow", "fast")):
        conv, norm = {
            "pytorchvideo": [
                f"blocks.0.multipathway_blocks.{number}.{x}" for x in ("conv", "norm")
            ],
            "pyslowfast": [f"s1.pathway{number}_stem.{x}" for x in ("conv", "bn")],
            "mmaction": [f"backbone.{name}_path.conv1.{x}" for x in ("conv", "bn")],
        }[layout]
        pairs += [(conv, f"{name}_stem.conv1"), (norm, f"{name}_stem.bn1")]
        for i, stage in enumerate(getattr(model, f"{name}_stages")):
            for b in range(len(stage.blocks)):
                block = {
                    "pytorchvideo": f"blocks.{i + 1}.multipathway_blocks.{number}.res_blocks.{b}",
                    "pyslowfast": f"s{i + 2}.pathway{number}_res{b}",
                    "mmaction": f"backbone.{name}_path.layer{i + 1}.{b}",
                }[layout]
                pairs += _inside(block, f"{name}_stages.{i}.blocks.{b}", BOTTLENECK[layout])
    return pairs


def x3d(layout, depths):
    """X3D, of so many blocks a stage."""
    there = {
        "pytorchvideo": (
            "blocks.0.conv.conv_t",
            "blocks.0.conv.conv_xy",
            "blocks.0.norm",
            "blocks.5.pool.pre_conv",
            "blocks.5.pool.pre_norm",
            "blocks.5.pool.post_conv",
            "blocks.5.proj",
        ),
        "pyslowfast": (
            "s1.pathway0_stem.conv_xy",
            "s1.pathway0_stem.conv",
            "s1.pathway0_stem.bn",
            "head.conv_5",
            "head.conv_5_bn",
            "head.lin_5",
            "head.projection",
        ),
        "mmaction": (
            "backbone.conv1_s.conv",
            "backbone.conv1_t.conv",
            "backbone.conv1_t.bn",
            "backbone.conv5.conv",
            "backbone.conv5.bn",
            "cls_head.fc1",
            "cls_head.fc2",
        ),
    }[layout]
    here = ("stem.0", "stem.1", "stem.2", "widen.0", "widen.1", "head.0", "classifier")
    pairs = list(zip(there, here, strict=True))
    row = 0
    for i, depth in enumerate(depths):
        for b in range(depth):
            block = {
                "pytorchvideo": f"blocks.{i + 1}.res_blocks.{b}",
                "pyslowfast": f"s{i + 2}.pathway0_res{b}",
                "mmaction": f"backbone.layer{i + 1}.{b}",
            }[layout]
            pairs += _inside(block, f"blocks.{row}", INVERTED[layout])
            row += 1
    return pairs


def mvit(layout, model):
    """MViT; `qkv[0]` is the first third of ours."""
    first = {
        "pytorchvideo": {
            "patch_embed.patch_model": "patch_embed",
            "cls_positional_encoding.cls_token": "cls_token",
            "cls_positional_encoding.pos_embed_class": "cls_pos_embed",
            "cls_positional_encoding.pos_embed_spatial": "pos_embed",
            "cls_positional_encoding.pos_embed_temporal": "time_embed",
            "norm_embed": "norm",
            "head.proj": "classifier",
        },
        "pyslowfast": {
            "patch_embed.proj": "patch_embed",
            "cls_token": "cls_token",
            "pos_embed_class": "cls_pos_embed",
            "pos_embed_spatial": "pos_embed",
            "pos_embed_temporal": "time_embed",
            "norm": "norm",
            "head.projection": "classifier",
        },
        "mmaction": {
            "backbone.patch_embed.projection": "patch_embed",
            "backbone.cls_token": "cls_token",
            "backbone.norm3": "norm",
            "cls_head.fc_cls": "classifier",
        },
    }[layout]
    pairs = list(first.items())
    before = "backbone." if layout == "mmaction" else ""
    apart = layout == "pytorchvideo" or (layout == "pyslowfast" and model.version == 1)
    for b in range(len(model.blocks)):
        at = f"{before}blocks.{b}."
        own = f"blocks.{b}."
        same = ("norm1", "norm2", "mlp.fc1", "mlp.fc2", "attn.proj")
        pairs += [(at + name, own + name) for name in same]
        pairs += [(at + f"attn.rel_pos_{a}", own + f"attn.rel_pos_{a}") for a in "hwt"]
        pairs += [(at + "proj", own + "project")]
        for i, part in enumerate("qkv"):
            pairs += [
                (at + f"attn.pool_{part}", own + f"attn.pool_{part}.conv"),
                (at + f"attn.norm_{part}", own + f"attn.pool_{part}.norm"),
            ]
            if apart:
                pairs += [(at + f"attn.{part}", own + f"attn.qkv[{i}]")]
        if not apart:
            pairs += [(at + "attn.qkv", own + "attn.qkv")]
    return pairs


def c3d(model):
    """C3D of MMAction2: convolutions are numbered by stage, a and b."""
    pairs = [("cls_head.fc_cls", "classifier")]
    pairs += [(f"backbone.fc{6 + i}", f"fully_connected.{3 * i}") for i in range(2)]
    for i, stage in enumerate(model.stages):
        convolutions = [n for n, layer in enumerate(stage) if isinstance(layer, torch.nn.Conv3d)]
        pairs += [
            (f"backbone.conv{i + 1}{letter}.conv", f"stages.{i}.{n}")
            for letter, n in zip("ab", convolutions, strict=False)
        ]
    return pairs


def swin(model):
    """Video Swin of MMAction2: a stage ends in its merging there."""
    pairs = [
        ("backbone.patch_embed.proj", "patch_embed"),
        ("backbone.patch_embed.norm", "patch_norm"),
        ("backbone.norm3", "norm"),
        ("cls_head.fc_cls", "classifier"),
    ]
    for i, stage in enumerate(model.stages):
        pairs += [
            (f"backbone.layers.{i - 1}.downsample.{part}", f"stages.{i}.0.merging.{part}")
            for part in ("norm", "reduction")
        ]
        for b in range(len(stage)):
            pairs += [
                (f"backbone.layers.{i}.blocks.{b}.{part}", f"stages.{i}.{b}.{part}")
                for part in ("norm1", "attn", "norm2", "mlp")
            ]
    return pairs


def timesformer(model):
    """TimeSformer of MMAction2."""
    pairs = [
        ("backbone.cls_token", "cls_token"),
        ("backbone.pos_embed", "pos_embed"),
        ("backbone.time_embed", "time_embed"),
        ("backbone.patch_embed.projection", "patch_embed"),
        ("backbone.norm", "norm"),
        ("cls_head.fc_cls", "classifier"),
    ]
    divided = model.attention == "divided"
    for b in range(len(model.blocks)):
        at, own = f"backbone.transformer_layers.layers.{b}.", f"blocks.{b}."
        space = at + f"attentions.{int(divided)}."
        pairs += [
            (space + "attn.in_proj_weight", own + "attn.qkv.weight"),
            (space + "attn.in_proj_bias", own + "attn.qkv.bias"),
            (space + "attn.out_proj", own + "attn.proj"),
            (at + "ffns.0.layers.0.0", own + "mlp.fc1"),
            (at + "ffns.0.layers.1", own + "mlp.fc2"),
        ]
        if divided:
            time = at + "attentions.0."
            pairs += [
                (time + "attn.in_proj_weight", own + "temporal_attn.qkv.weight"),
                (time + "attn.in_proj_bias", own + "temporal_attn.qkv.bias"),
                (time + "attn.out_proj", own + "temporal_attn.proj"),
                (time + "norm", own + "temporal_norm1"),
                (time + "temporal_fc", own + "temporal_fc"),
                (space + "norm", own + "norm1"),
                (at + "ffns.0.norm", own + "norm2"),
            ]
        else:
            pairs += [(at + f"norms.{i}", own + f"norm{i + 1}") for i in range(2)]
    return pairs


def videomae(model):
    """VideoMAE's network of MMAction2, all but its positions, which are computed."""
    pairs = [
        ("backbone.patch_embed.projection", "encoder.patch_embed"),
        ("backbone.fc_norm", "mean_norm"),
        ("cls_head.fc_cls", "classifier"),
    ]
    for b in range(len(model.encoder.blocks)):
        at, own = f"backbone.blocks.{b}.", f"encoder.blocks.{b}."
        pairs += [(at + part, own + part) for part in ("norm1", "norm2", "attn")]
        pairs += [(at + "mlp.layers.0.0", own + "mlp.fc1"), (at + "mlp.layers.1", own + "mlp.fc2")]
    return pairs


def named_as(pairs, own):
    """Give tensors by our names the peer's: {their name: tensor}."""
    found = {}
    for there, here in pairs:
        module, bracket, part = here.partition("[")
        for name, value in own.items():
            if name == module or name.startswith(module + "."):
                third = value.chunk(3)[int(part[0])] if bracket else value
                found[there + name[len(module) :]] = third
    return found


def _inside(block, own, layers):
    return [(f"{block}.{there}", f"{own}.{here}") for here, there in layers.items()]


def drawn(model, seed=0):
    """Return a model's tensors filled with chance, so that no two are alike."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(value.shape, generator=generator) + 0.5
        if value.is_floating_point()
        else value
        for name, value in model.state_dict().items()
    }
