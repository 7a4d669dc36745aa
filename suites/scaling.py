"""What a second device brings, and where the rest goes: weak and strong scaling of every loop."""

from __future__ import annotations

from bench import Point, Suite, Workload

from .autoencoder_axes import CHOICES, autoencoder_axes, build_autoencoder


def batch_of_one_rank(point: Point) -> int:
    """`batch_size` is what one device gets: in weak scaling that of each, in strong scaling shared by all."""
    return int(point["batch_size"]) // (ranks(point) if point["scaling"] == "strong" else 1)


def ranks(point: Point) -> int:
    """Devices of all nodes together."""
    return int(point["devices"]) * int(point["num_nodes"])


def refuses(point: Point) -> str | None:
    batch, all_ranks = int(point["batch_size"]), ranks(point)
    if point["scaling"] == "strong" and batch % all_ranks:
        nodes = f" on num_nodes={point['num_nodes']}" if point["num_nodes"] != 1 else ""
        return (
            f"batch_size={batch} cannot be shared by devices={point['devices']}{nodes} in strong scaling; allowed: "
            f"multiples of {all_ranks}"
        )
    return None


def build(point: Point) -> Workload:
    return build_autoencoder({**point, "batch_size": batch_of_one_rank(point)})


suite = Suite(
    name="scaling",
    title="what more devices bring, weak (each its own batch) and strong (one batch shared), in every loop",
    axes=autoencoder_axes(
        {
            "devices": (1, 2),
            "loop": ("plain", "fabric", "trainer-barebones", "trainer"),
            "scaling": ("weak", "strong"),
            "batch_size": (512,),
            # Wide enough that there are gradients to exchange: 0.8 million parameters, 3.3 MB a step.
            "width": (512,),
        }
    ),
    compare="devices",
    baseline=1,
    choices={**CHOICES, "scaling": ("weak", "strong")},
    refuses=refuses,
    build=build,
)
