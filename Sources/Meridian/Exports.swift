/// `import Meridian` is all that a program needs: the vocabulary (`Region`, `Topology`, `MeridianError`,
/// `ColumnSchema`) and the choices of a table (`SurvivalGoal`, `Placement`, `ReplicationMode`) come with it.
@_exported import MeridianCore
@_exported import MeridianPlacement
