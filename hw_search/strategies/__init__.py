"""Who is evaluated next: evolution, the surrogate, NASB's mixtures; and who goes on after a first look."""
