import Foundation
import PromptTuning
import TestSupport
import Testing

@testable import Training

/// Configuration files, their merging with the command line, and what is refused with which words.
@Suite struct ConfigurationTests {
  private static func message(_ yaml: String) throws -> String {
    let folder = try TemporaryFolder()
    let path = try folder.write(yaml, to: "run.yaml").path
    do {
      var configuration = RunConfiguration()
      try configuration.apply(ConfigurationLayer(yaml: path))
      return "no error"
    } catch {
      return "\(error)".replacing("\(path): ", with: "")
    }
  }

  @Test func `the command line counts more than the file`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      "model: base\nlearning-rate: 0.3\nepochs: 4\nshots: 2\nno-shuffle: true\ntruncate: [demonstrations]\n",
      to: "run.yaml"
    ).path
    var configuration = RunConfiguration()
    try configuration.apply(ConfigurationLayer(yaml: path))
    #expect(configuration.options.length == .epochs(4) && !configuration.options.shuffles)
    var layer = ConfigurationLayer(origin: "command line")
    layer.set("steps", 9)
    layer.set("method", "icl")
    layer.set("seed", nil as Int?)
    try configuration.apply(layer)
    #expect(configuration.options.length == .steps(9) && configuration.learningRate == 0.3)
    #expect(configuration.truncate == .demonstrations && configuration.model == "base")
    let method = try configuration.resolvedMethod()
    #expect(method.demonstrations == .fixed && method.shots == 2 && method.prompt == .none)
  }

  @Test(arguments: [
    ("lerning-rate: 1", "unknown key 'lerning-rate'; did you mean 'learning-rate'?"),
    ("xyzzy: 1", "unknown key 'xyzzy'"), ("batch-size: two", "'batch-size' must be a whole number, not a string"),
    ("batch-size: 0", "'batch-size' is 0, at least 1 is needed"),
    ("beta1: 1", "'beta1' is 1.0, it must be at least 0.0 and below 1.0"),
    ("epsilon: .nan", "'epsilon' is nan, it must be at least 0.0"),
    ("shuffle: 3", "'shuffle' must be true or false, not a whole number"),
    ("optimizer: adam", "'optimizer' must be one of adamw, adafactor, sgd ('adam' is not)"),
    (
      "truncate: middle",
      "'truncate' names 'middle'; known are demonstrations, input-start, input-end, fields-longest, fields-last"
    ),
    ("steps: 3\nepochs: 2", "'steps' and 'epochs' exclude each other"), ("- a\n- b", "not a mapping of keys to values"),
    ("seed: 1\nseed: 2", "key 'seed' is there twice"), ("seed:", "key 'seed' has no value"),
    ("recipe: mine", "'recipe' must be one of lester-2021, sun-2023"),
  ])
  func `bad keys and values are named`(_ yaml: String, _ expected: String) throws {
    #expect(try Self.message(yaml) == expected)
  }

  @Test func `broken YAML is named with its line`() throws {
    let message = try Self.message("model: base\ndata: [a, b\n")
    #expect(message.hasPrefix("line ") && message.contains("not valid YAML"))
  }

  @Test func `what is written is read back`() throws {
    var configuration = RunConfiguration()
    configuration.model = "folder with \"quotes\" \\ and: colon # and\nnewline é \u{1F600}"
    configuration.data = ["7", "null", "~/x"]
    configuration.promptInit = "text:yes"
    configuration.method = "fine-tuning"
    configuration.truncate = [.demonstrations, .inputEnd]
    configuration.options.length = .steps(12)
    configuration.options.shuffles = false
    configuration.options.epsilon = 1e-9
    configuration.learningRate = 0.1
    let folder = try TemporaryFolder()
    let path = try folder.write(configuration.yaml, to: "config.yaml").path
    var copy = RunConfiguration()
    try copy.apply(ConfigurationLayer(yaml: path))
    #expect(copy == configuration)
  }

  @Test func `a recipe counts before single keys`() throws {
    var configuration = RunConfiguration()
    var layer = ConfigurationLayer(origin: "command line")
    layer.set("batch-size", 4)
    layer.set("recipe", "lester-2021")
    try configuration.apply(layer)
    #expect(configuration.options.batchSize == 4 && configuration.learningRate == 0.3)
    #expect(!configuration.options.adafactor.scalesByParameter && configuration.promptLength == 100)
  }

  @Test func `no shots are the method without demonstrations`() throws {
    func method(_ keys: [(String, String)], shots: Int? = nil) throws -> PromptTuning.Method {
      var configuration = RunConfiguration()
      var layer = ConfigurationLayer(origin: "command line")
      for (key, value) in keys { layer.set(key, value) }
      layer.set("shots", shots)
      try configuration.apply(layer)
      return try configuration.resolvedMethod()
    }
    let ipt = try method([("method", "ipt")])
    #expect(ipt.demonstrations == .retrieved && ipt.shots == 1 && ipt.prompt == .static)
    var none = try method([("method", "ipt")], shots: 0)
    none.name = "prompt-tuning"
    #expect(try none == method([("method", "prompt-tuning")]))
    #expect(try method([("method", "icl"), ("demonstrations", "retrieved")]).demonstrations == .retrieved)
    #expect(try method([("method", "icl"), ("demonstrations", "random")], shots: 3).shots == 3)
    #expect(throws: MethodError.self) { try method([], shots: 2) }
  }

  @Test func `misspelt names find their neighbours`() {
    #expect(NearestName.editDistance("kitten", "sitting") == 3)
    #expect(NearestName.of("batchsize", among: ["batch-size", "seed"]) == "batch-size")
    #expect(NearestName.of("q", among: ["batch-size", "output"]) == nil)
  }
}
