"""What the commands of ``brian-snn`` do, and how they show it; `brian_snn.cli` knows their options."""
