"""The service of the parallel example."""

from agnt5 import Worker, function

import parallel  # noqa: F401  registers parallel_processing


@function
def process_type_a() -> str:
    return "a"


@function
def process_type_b() -> str:
    return "b"


@function
def process_type_c() -> str:
    return "c"


@function
def merge_results(process_a: str, process_b: str, process_c: str) -> str:
    """Each parameter is the dependency of its name."""
    return process_a + process_b + process_c


if __name__ == "__main__":
    Worker("service").run_sync()
