"""From the IR to plans (JSON) and from plans to artifacts; imports no torch."""
