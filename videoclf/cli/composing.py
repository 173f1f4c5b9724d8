"""Overrides, as train.py takes them, to a config and to the data that it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from videoclf.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videoclf.data.source import VideoData


def compose_train(overrides: Sequence[str], **settings: Any) -> DictConfig:
    """Compose the config of train.py.

    Args:
        overrides: as on its command line.
        settings: further values by key, with "__" for ".", such as data__root; no override's
            grammar applies to them.

    Raises:
        ConfigError: an override is wrong; the text names the nearest key or option.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from videoclf.config import CONF, loader_workers
    from videoclf.config_errors import explain

    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            config = compose(config_name="train", overrides=list(overrides))
        for key, value in settings.items():
            OmegaConf.update(config, key.replace("__", "."), value)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides, "train")) from error
    if config.data.num_workers is None:
        config.data.num_workers = loader_workers()
    return config


def compose_evaluate(words: Sequence[str]) -> DictConfig:
    """Compose the config of evaluate.py, `checkpoint=` among its words.

    Raises:
        ConfigError: an override is wrong; the text names the nearest key or option.
        CheckpointError: the checkpoint is missing or damaged.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from videoclf.config import CONF, loader_workers
    from videoclf.config_errors import explain
    from videoclf.config_from_checkpoint import offer_checkpoint_options

    overrides = offer_checkpoint_options(list(words))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            config = compose(config_name="evaluate", overrides=overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, overrides, "evaluate")) from error
    if config.data.num_workers is None:
        config.data.num_workers = loader_workers()
    return config


def build_data(config: DictConfig) -> VideoData:
    """Build what the group `data` of a config names.

    Raises:
        ConfigError: a wrong value.
    """
    from videoclf.build import build
    from videoclf.config import plain

    data: VideoData = build(
        plain(config.data), name="data", trusted_packages=config.trusted_packages
    )
    return data
