"""Who is evaluated next."""
