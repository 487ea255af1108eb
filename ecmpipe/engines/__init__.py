"""The programs that do the heavy work, behind one interface each: write inputs, launch, read results."""
