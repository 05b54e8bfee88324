"""Why a plan is as it is, and what would change it: each answer is checked by planning again with the change made."""
