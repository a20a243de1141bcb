/// `import Meridian` is all that a program writes: the vocabulary (`Region`, `Topology`, `MeridianError`, `ColumnSchema`)
/// and the choices of a table (`SurvivalGoal`, `Placement`, `ReplicationMode`) come with it. What is `package` in those
/// modules stays invisible outside.
@_exported import MeridianCore
@_exported import MeridianPlacement
