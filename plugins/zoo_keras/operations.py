"""Faster replacements for TensorFlow operations of a training step, in effect while a step is traced.

Each computes the same as the operation it replaces, except that dropout draws different masks from the same
distribution. docs/guides/speed.md lists what was tried.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from zoo_keras.bias_gradients import float32_bias_gradients
from zoo_keras.replacing import original_of, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def training_operations() -> Iterator[None]:
    """Use all replacements here, and `float32_bias_gradients`, in functions that are traced inside the block."""
    with float32_bias_gradients(), pooling_before_activation(), dropout_from_few_bits():
        yield


@contextlib.contextmanager
def pooling_before_activation() -> Iterator[None]:
    """Compute max pooling before ReLU or LeakyReLU where a model applies it after them.

    Both activations are monotonic, so the values are the same, and so are the gradients unless rounding makes two
    values of a window equal. With 2x2 windows, only a quarter of the values need the activation. If the activation's
    result is also used elsewhere, it is still computed.
    """
    max_pool = original_of(tf.nn, "max_pool")
    # by the id of an activation's result: the result (which keeps the id in use), the activation and its input
    activated: dict[int, tuple[Any, Callable[[Any], Any], Any]] = {}

    def remember(activation: Callable[[Any], Any], features: Any) -> Any:
        result = activation(features)
        activated[id(result)] = (result, activation, features)
        return result

    def relu(features: Any, name: str | None = None) -> Any:
        return remember(lambda values: original["relu"](values, name=name), features)

    def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
        def activation(values: Any) -> Any:
            return original["leaky_relu"](values, alpha=alpha, name=name)

        is_monotonic = isinstance(alpha, int | float) and alpha >= 0
        return remember(activation, features) if is_monotonic else activation(features)

    def pool(input: Any, *arguments: Any, **options: Any) -> Any:  # noqa: A002  # TensorFlow's name
        if id(input) not in activated:
            return max_pool(input, *arguments, **options)
        _, activation, features = activated[id(input)]
        return activation(max_pool(features, *arguments, **options))

    original: dict[str, Callable[..., Any]] = {name: original_of(tf.nn, name) for name in ("relu", "leaky_relu")}
    with replaced(tf.nn, relu=relu, leaky_relu=leaky_relu, max_pool=pool):
        yield


@contextlib.contextmanager
def dropout_from_few_bits() -> Iterator[None]:
    """Draw 8 or 16 random bits per value in dropout, where TensorFlow draws 32.

    Uses 8 bits if the rate is a whole number of 256ths, otherwise 16, which round it to the nearest 65,536th. Kept
    values are divided by the exact probability of being kept. The masks depend only on the seed and differ from
    TensorFlow's.
    """
    original = original_of(tf.nn.experimental, "stateless_dropout")

    def dropout(
        x: Any,
        rate: Any,
        seed: Any,
        rng_alg: str | None = None,
        noise_shape: Any = None,
        name: str | None = None,
    ) -> Any:
        x = tf.convert_to_tensor(x)
        if not isinstance(rate, float) or not 0 < rate < 1:
            return original(x, rate, seed, rng_alg=rng_alg, noise_shape=noise_shape, name=name)
        shape = tf.shape(x) if noise_shape is None else tf.convert_to_tensor(noise_shape, tf.int32)
        return x * _mask(shape, rate, seed, rng_alg or "auto_select", x.dtype)

    with replaced(tf.nn.experimental, stateless_dropout=dropout):
        yield


def _mask(shape: Any, rate: float, seed: Any, rng_alg: str, dtype: Any) -> Any:
    """Return 0 with probability ``rate``, and otherwise the factor that preserves the mean."""
    bits = 8 if (rate * 256).is_integer() else 16
    levels, type_ = 2**bits, tf.uint8 if bits == 8 else tf.uint16
    dropped = min(max(round(rate * levels), 1), levels - 1)
    count = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform(
        [(count + 32 // bits - 1) // (32 // bits)], seed, minval=None, maxval=None, dtype=tf.uint32, alg=rng_alg
    )
    draws = tf.reshape(tf.reshape(tf.bitcast(words, type_), [-1])[:count], shape)
    return tf.cast(draws >= tf.constant(dropped, type_), dtype) * tf.constant(levels / (levels - dropped), dtype)
