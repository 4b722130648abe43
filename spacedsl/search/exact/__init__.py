"""Q-T scores without sampling noise, and the best space of a hyperspace with a certificate."""
