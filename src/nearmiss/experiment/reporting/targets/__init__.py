"""The paper's figures and tables, each made from a reproduction and set beside the paper's own numbers."""
