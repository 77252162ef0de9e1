import Compute
import Foundation
import Testing

/// The tables of docs/backends.md.
struct BackendGuide {
  /// Kernels that a backend must have.
  let required: Set<String>
  /// Kernels with a default body.
  let defaults: Set<String>

  /// The repository's folder.
  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  init() throws {
    let text = try String(contentsOf: Self.repository.appendingPathComponent("docs/backends.md"), encoding: .utf8)
    /// The names in backquotes in the first column of the table under a heading.
    func names(under heading: String) throws -> Set<String> {
      let section = try #require(text.components(separatedBy: "\n## \(heading)\n").dropFirst().first)
      let body = section.components(separatedBy: "\n## ")[0]
      let cells = body.split(separator: "\n").filter { $0.hasPrefix("| `") }.compactMap {
        $0.split(separator: "|").first
      }
      return Set(cells.flatMap { $0.matches(of: /`(\w+)`/).map { String($0.1) } })
    }
    required = try names(under: "Required kernels")
    defaults = try names(under: "Kernels with default bodies")
  }
}

/// The guide says what the code does.
@Suite struct BackendGuideTests {
  private func functions(in folder: String, _ declaration: Regex<(Substring, Substring)>) throws -> Set<String> {
    let url = BackendGuide.repository.appendingPathComponent(folder)
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
    try #require(exists, "\(folder)")
    let files =
      isFolder.boolValue ? try FileManager.default.contentsOfDirectory(at: url, includingPropertiesForKeys: nil) : [url]
    return Set(
      try files.flatMap { file in
        try String(contentsOf: file, encoding: .utf8).matches(of: declaration).map { String($0.1) }
      })
  }

  @Test func everyKernelIsInOneTable() throws {
    let guide = try BackendGuide()
    #expect(guide.required.isDisjoint(with: guide.defaults))
    #expect(guide.required.union(guide.defaults) == Set(Kernel.allCases.map(\.rawValue)))
  }

  /// The example backend compiles with what it declares, so nothing else can be required.
  @Test func requiredKernelsAreThoseOfTheExample() throws {
    let declared = try functions(in: "Tests/ConformanceTests/PlainLoopsBackend.swift", /\n  func (\w+)\(/)
    #expect(declared.intersection(Kernel.allCases.map(\.rawValue)) == (try BackendGuide()).required)
  }

  @Test func everyDefaultBodyIsListed() throws {
    let bodies = try functions(in: "Sources/Compute/Defaults", /\n  public func (\w+)\(/)
    #expect(bodies.union(["builtin"]) == (try BackendGuide()).defaults)
  }
}
