"""Several hosts on one serial line, as no operating system should allow it."""

from collections.abc import Callable

Answer = Callable[[bytes], bytes]
Chance = Callable[[int], int]


class SharedLine:
    """A line to one board. An answer goes to a host by chance, or to all.

    Args:
        answer: What the board answers to the bytes of one write.
        hosts: Number of hosts.
        chance: Returns a number below its argument.
        forgetful: Whether a host that forgets what it heard does so; otherwise the rest arrives late, half of the times.
    """

    def __init__(self, answer: Answer, hosts: int, chance: Chance, forgetful: bool = True) -> None:
        self.answer, self.chance, self.forgetful = answer, chance, forgetful
        self.ports = [Port(self) for _ in range(hosts)]

    def write(self, data: bytes) -> None:
        """Send a request of any host."""
        answer, chosen = self.answer(data), self.chance(len(self.ports) + 1)
        for port in self.ports if chosen == len(self.ports) else [self.ports[chosen]]:
            port.heard += answer


class Port:
    """One host's end."""

    def __init__(self, line: SharedLine) -> None:
        self.line, self.heard = line, b""

    def write(self, data: bytes) -> int:
        """Send bytes."""
        self.line.write(data)
        return len(data)

    def read(self, size: int = 1) -> bytes:
        """Return what was heard."""
        taken, self.heard = self.heard[:size], self.heard[size:]
        return taken

    def reset_input_buffer(self) -> None:
        """Forget what was heard."""
        if self.line.forgetful or self.line.chance(2):
            self.heard = b""

    def close(self) -> None:
        """Do nothing."""
