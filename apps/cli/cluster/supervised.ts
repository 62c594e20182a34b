// Set in the environment of a node that is one of several: it stops when its standard input ends, which it does when its supervisor is gone.
export const supervisedVariable = "BLUM_SUPERVISED";
