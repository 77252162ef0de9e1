import Foundation
import Testing

@testable import Compute

@Suite struct SystemMemoryTests {
  @Test func theLeastLimitOfTheControlGroup() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (limit, none) = (folder.appendingPathComponent("memory.max"), folder.appendingPathComponent("unlimited"))
    try Data("900\n".utf8).write(to: limit)
    try Data("max\n".utf8).write(to: none)
    #expect(SystemMemory.groupLimit(files: [none.path, limit.path, "/nonexistent"]) == 900)
    #expect(SystemMemory.groupLimit(files: [none.path]) == nil)
    #expect(SystemMemory.byteCount > 0 && SystemMemory.byteCount <= ProcessInfo.processInfo.physicalMemory)
  }
}
