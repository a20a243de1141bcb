import MeridianCore
import Testing

@testable import MeridianSimulation

@Suite struct EngineTests {}
