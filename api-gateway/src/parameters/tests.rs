use proptest::prelude::*;
use prost_reflect::DynamicMessage;
use proto::{ErrorKind, Failure, catalog};

use super::{Parameters, request};

const MAX: usize = 1000;

fn build(method: &str, query: &str) -> Result<DynamicMessage, Failure> {
    let mut parameters = Parameters::default();
    parameters.add_encoded(query.as_bytes())?;
    request(catalog().by_name(method).unwrap(), &parameters, MAX)
}

fn stop(query: &str) -> Result<proto::environment::v1::StopEnvRequest, Failure> {
    build("environment.control.StopEnv", query).map(|message| message.transcode_to().unwrap())
}

fn create(query: &str) -> Result<proto::token::v1::CreateTokenRequest, Failure> {
    let query = format!("description=d&password=p&{query}");
    build("users.authentication.CreateToken", &query).map(|message| message.transcode_to().unwrap())
}

fn environment(query: &str) -> Result<proto::environment::v1::CreateEnvironmentRequest, Failure> {
    build("environment.control.CreateEnvironment", query).map(|message| message.transcode_to().unwrap())
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(answer: Result<T, Failure>, parameter: &str) {
    let failure = answer.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::InvalidParameter, "{failure:?}");
    assert_eq!(failure.detail("parameter"), Some(parameter), "{failure:?}");
    assert!(failure.message().starts_with(&format!("`{parameter}` ")), "{failure:?}");
}

#[test]
fn a_map_that_would_clear_everything_has_to_be_sent() {
    for (method, name) in [("SetContainerEnvVars", "vars"), ("SetContainerEnvVarsByGroup", "data")] {
        let method = catalog().by_name(&format!("environment.control.{method}")).unwrap();
        let build = |text: &str| {
            let mut parameters = Parameters::default();
            parameters.add_encoded(format!("envName=shop&nodeId=7&nodeGroup=cp{text}").as_bytes()).unwrap();
            request(method, &parameters, MAX)
                .map(|message| message.get_field_by_name(name).unwrap().as_map().unwrap().len())
        };
        for text in ["", "&vars=", "&variables={}"] {
            assert_invalid(build(text), name);
        }
        // Under either name, since the other method's is easily taken for it.
        for other in ["vars", "data"] {
            assert_eq!(build(&format!("&{other}={{}}")).unwrap(), 0);
            assert_eq!(build(&format!("&{other}={{'A':'1'}}")).unwrap(), 1);
        }
    }
}

#[test]
fn names_are_matched_in_any_case_and_others_are_ignored() {
    for query in ["envName=a", "ENVNAME=a", "envname=a&appid=1&appid=2&ruk=&x&=y&%ff=z", "env%4Eame=a", "&&envName=a&"]
    {
        assert_eq!(stop(query).unwrap().env_name, "a", "{query}");
    }
    assert_eq!(stop("envName=a+b%20c%2b%C3%A9%zz%").unwrap().env_name, "a b c+é%zz%");
}

#[test]
fn a_parameter_is_given_once_and_not_empty_and_in_utf8_and_not_endless() {
    assert_invalid(stop(""), "envName");
    assert_invalid(stop("envName="), "envName");
    assert_invalid(stop("envName=a&envname=a"), "envName");
    assert_invalid(stop("envName=%ff"), "envName");
    assert_invalid(stop(&format!("envName={}", "a".repeat(MAX + 1))), "envName");
    assert!(stop(&format!("envName={}", "a".repeat(MAX))).is_ok());
}

#[test]
fn numbers_and_booleans_are_exact() {
    let regenerate = |query: &str| {
        build("users.authentication.RegenerateToken", &format!("password=p&{query}"))
            .map(|message| message.transcode_to::<proto::token::v1::RegenerateTokenRequest>().unwrap().id)
    };
    assert_eq!(regenerate("id=7").unwrap(), 7);
    assert_eq!(regenerate("ids=7").unwrap(), 7, "one client calls it so");
    assert_invalid(regenerate("id=7&ids=7"), "id");
    for wrong in ["id=", "id=null", "id=x", "id=7.0", "id=%2B7", "id=0x7", "id=9223372036854775808", "id=7,8"] {
        assert_invalid(regenerate(wrong), "id");
    }
    let lazy = |value: &str| {
        build("environment.control.GetEnvs", &format!("lazy={value}"))
            .map(|message| message.transcode_to::<proto::environment::v1::GetEnvsRequest>().unwrap().lazy)
    };
    assert_eq!(lazy("True").unwrap(), Some(true));
    assert_eq!(lazy("false").unwrap(), Some(false));
    assert_eq!((lazy("").unwrap(), lazy("null").unwrap()), (None, None));
    assert_invalid(lazy("1"), "lazy");
}

#[test]
fn lists_come_in_many_forms() {
    for query in [
        "apiList=a.b.C,d.e.F",
        "apiList=a.b.C,+d.e.F,,",
        "apiList=[\"a.b.C\",\"d.e.F\"]",
        "apiList=['a.b.C','d.e.F']",
        "apiList='a.b.C','d.e.F'",
        "apiList=a.b.C&apilist=d.e.F",
        "apiList=[%22a.b.C%22]&apiList=d.e.F",
    ] {
        assert_eq!(create(query).unwrap().api_list, ["a.b.C", "d.e.F"], "{query}");
    }
    assert!(create("apiList=").unwrap().api_list.is_empty());
    assert_invalid(create("apiList=[{}]"), "apiList");
    assert_invalid(create("apiList=["), "apiList");

    let delete = |query: &str| {
        build("users.authentication.DeleteTokens", &format!("password=p&{query}"))
            .map(|message| message.transcode_to::<proto::token::v1::DeleteTokensRequest>().unwrap())
    };
    assert_eq!(delete("ids=1,2;3").unwrap().ids, [1, 2, 3]);
    assert_eq!(delete("ids=[1,\"2\"]").unwrap().ids, [1, 2]);
    let all = delete("ids=*").unwrap();
    assert_eq!((all.ids.as_slice(), all.all), (&[][..], Some(true)));
    assert!(delete("all=true&ids=*").is_ok());
    assert_invalid(delete("ids=*&all=false"), "all");
    assert_invalid(delete("ids=*,1"), "ids");
    assert_invalid(delete("ids=,"), "ids");
    assert_invalid(delete(""), "ids");
}

#[test]
fn dates_have_the_two_forms_of_the_platform() {
    let end = |text: &str| create(&format!("expiresAt={text}")).map(|request| request.expires_at.map(|at| at.seconds));
    assert_eq!(end("2030-01-02 03:04:05").unwrap(), Some(1_893_553_445));
    assert_eq!(end("01-01-2030").unwrap(), Some(1_893_542_399), "the end of the day");
    assert_eq!(end("").unwrap(), None);
    for wrong in [
        "2030-01-02",
        "2030-02-30 00:00:00",
        "30-02-2030",
        "2030-01-02T03:04:05Z",
        "1893553445",
        "x",
        "2030-1-2 3:4:5",
        "2030-01-02  3:04:05",
        "%2B203-01-02 03:04:05",
        "-203-01-02 03:04:05",
        "2030-01-02 03:04:60",
        "2030-01-02 24:00:00",
        "2030-01-02 03:04:05.5",
        "2030-01-02 03:04:05 Z",
        "1-1-2030",
        "01-01-+203",
        "01-01-20300",
        "00-01-2030",
    ] {
        assert_invalid(end(wrong), "expiresAt");
    }
}

#[test]
fn dates_that_cannot_be_told_are_out_of_range_and_not_malformed() {
    let end = |text: &str| create(&format!("expiresAt={text}")).map(|request| request.expires_at.map(|at| at.seconds));
    assert_eq!(end("9999-12-30 22:00:00").unwrap(), Some(253_402_207_200));
    assert_eq!(end("29-12-9999").unwrap(), Some(253_402_127_999));
    for late in ["9999-12-30 22:00:01", "9999-12-31 23:59:59", "30-12-9999", "31-12-9999", "0000-12-31 23:59:59"] {
        let failure = end(late).unwrap_err();
        assert!(failure.message().contains("must be before 9999-12-30 22:00:01"), "{late}: {failure:?}");
        assert_invalid(Err::<(), _>(failure), "expiresAt");
    }
}

#[test]
fn structures_are_json_with_either_quotes() {
    for (env, nodes) in [
        ("{\"shortdomain\":\"a\",\"x\":1}", "[{\"nodeType\":\"web\",\"count\":2}]"),
        ("{'shortdomain':'a'}", "[{'nodeType':'web','count':2}]"),
        ("{'shortdomain':\"a\",}", "[{\"nodeType\":'web','count':'2'}]"),
    ] {
        let request = environment(&format!("env={env}&nodes={nodes}")).unwrap();
        assert_eq!(request.env.unwrap().shortdomain, "a", "{env}");
        assert_eq!((request.nodes[0].node_type.as_str(), request.nodes[0].count), ("web", Some(2)), "{nodes}");
    }
    let good = "env={\"shortdomain\":\"a\"}";
    for (query, parameter) in [
        ("env=[]&nodes=[{}]", "env"),
        ("env=x&nodes=[{}]", "env"),
        ("env=null&nodes=[{}]", "env"),
        ("env={\"shortdomain\":\"a\",\"shortdomain\":\"b\"}&nodes=[{}]", "env"),
        ("env={'shortdomain':'a','shortdomain':'b'}&nodes=[{}]", "env"),
        ("env={\"shortdomain\":7}&nodes=[{}]", "env"),
        (&format!("{good}&nodes={{}}"), "nodes"),
        (&format!("{good}&nodes=[7]"), "nodes"),
        (&format!("{good}&nodes=[{{\"count\":\"x\"}}]"), "nodes"),
        (&format!("{good}&nodes=[]"), "nodes"),
        (&format!("{good}&nodes=[{{}}]&nodes=[{{}}]"), "nodes"),
        (good, "nodes"),
    ] {
        assert_invalid(environment(query), parameter);
    }
}

#[test]
fn maps_are_json_objects_of_texts() {
    let vars = |query: &str| {
        build("environment.control.AddContainerEnvVars", &format!("envName=a&{query}"))
            .map(|message| message.transcode_to::<proto::environment::v1::AddContainerEnvVarsRequest>().unwrap())
    };
    for query in [
        "vars={\"A\":\"b c\",\"D\":\"\"}",
        "vars={'A':'b c','D':''}",
        "VARS={%22A%22:%22b+c%22,%20%22D%22:%22%22}&nodeId=&nodeGroup=",
        "vars={'A':'b c','D':'',}&nodeid=null",
    ] {
        let request = vars(query).unwrap();
        let mut pairs: Vec<(&str, &str)> =
            request.vars.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [("A", "b c"), ("D", "")], "{query}");
        assert_eq!((request.node_id, request.node_group.unwrap_or_default()), (None, String::new()), "{query}");
    }
    assert_eq!(vars("vars={'A':'b'}&NODEID=7").unwrap().node_id, Some(7));
    for wrong in ["", "vars=", "vars=null", "vars={}", "vars=[]", "vars=A", "vars={'A':{}}", "vars={'A':'b','A':'c'}"] {
        assert_invalid(vars(wrong), "vars");
    }
    let set = |query: &str| {
        build("environment.control.SetContainerEnvVars", &format!("envName=a&nodeId=1&{query}"))
            .map(|message| message.transcode_to::<proto::environment::v1::SetContainerEnvVarsRequest>().unwrap())
    };
    assert!(set("vars={}").unwrap().vars.is_empty(), "these and no others");
    for absent in ["", "vars=", "vars=null"] {
        assert_invalid(set(absent), "vars");
    }
}

#[test]
fn no_error_repeats_a_secret() {
    for vars in
        ["{\"A\":12345678}", "{'A':12345678}", "{'A':'b' 12345678}", "{'A':'b','C':[12345678]}", "{'A':12345678"]
    {
        let failure = build("environment.control.AddContainerEnvVars", &format!("envName=a&vars={vars}")).unwrap_err();
        assert!(!failure.message().contains("12345678"), "{vars}: {failure:?}");
        assert_invalid(Err::<(), _>(failure), "vars");
        let nodes = format!("[{{'nodeType':'web','env':{vars}}}]");
        let failure = environment(&format!("env={{}}&nodes={nodes}")).unwrap_err();
        assert!(!failure.message().contains("12345678"), "{nodes}: {failure:?}");
        assert_invalid(Err::<(), _>(failure), "nodes");
    }
}

#[test]
fn no_error_repeats_a_credential_that_stands_where_a_name_belongs() {
    let wrong = |name: &str| {
        build("environment.control.AddContainerEnvVars", &format!("envName=a&vars={{'{name}':{{}}}}")).unwrap_err()
    };
    assert_eq!(wrong("NAME").message(), "`vars` does not fit at `NAME`: it must be a string");
    for credential in ["pcl_pat_x", "MY_PCL_SES_x"] {
        assert_eq!(wrong(credential).message(), "`vars` does not fit: it must be a string");
    }
}

#[test]
fn commands_and_groups_come_as_clients_send_them() {
    let commands = |query: &str| {
        let message = build("environment.control.ExecCmdById", &format!("envName=a&nodeid=1&{query}"))?;
        let request: proto::environment::v1::ExecCmdByIdRequest = message.transcode_to().unwrap();
        let parts = request.command_list.into_iter().map(|one| (one.command, one.params.unwrap_or_default()));
        Ok::<_, Failure>(parts.collect::<Vec<_>>())
    };
    let expected = [("ls".to_owned(), String::new()), ("echo".to_owned(), "-n it's".to_owned())];
    for query in [
        "commandList=[{\"command\":\"ls\"},{\"command\":\"echo\",\"params\":\"-n it's\"}]",
        "commandlist=[{'command':'ls','params':''},{'command':'echo','params':\"-n it's\"}]&sayYes=True",
        "commandList=[{'command':'ls','params':None},{'command':'echo','params':'-n it\\'s'}]",
    ] {
        assert_eq!(commands(query).unwrap(), expected, "{query}");
    }
    for wrong in
        ["", "commandList=[]", "commandList=ls", "commandList={'command':'ls'}", "commandList=[{'command':[]}]"]
    {
        assert_invalid(commands(wrong), "commandList");
    }
    let groups = |method: &str, query: &str| {
        build(&format!("environment.control.{method}"), &format!("envName=a&{query}"))
            .map(|message| message.transcode_to::<proto::environment::v1::SetEnvGroupRequest>().unwrap().env_group)
    };
    for query in
        ["envGroup=a,b/c d", "envGroups=[\"a\",\"b/c d\"]", "ENVGROUP=['a','b/c d']", "envGroup=a&envGroups=b/c+d"]
    {
        assert_eq!(groups("SetEnvGroup", query).unwrap(), ["a", "b/c d"], "{query}");
    }
    for none in ["", "envGroup=", "envGroups=[]", "envGroup=null"] {
        assert!(groups("SetEnvGroup", none).unwrap().is_empty(), "{none}");
        assert_invalid(groups("AttachEnvGroup", none), "envGroup");
    }
}

#[test]
fn nesting_ends_somewhere() {
    for (open, close) in [("[", "]"), ("{'a':", "}"), ("[\"x\",", "]"), ("[/*'*/", "]")] {
        let deep = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        let parameter = catalog().by_name("environment.control.CreateEnvironment").unwrap();
        let parameter = parameter.parameter("nodes").unwrap();
        assert!(super::structured::parse(parameter, &deep).is_err(), "{open}");
    }
}

#[test]
fn a_credential_is_one_of_two_names_once() {
    let credential = |query: &str| {
        let mut parameters = Parameters::default();
        parameters.add_encoded(query.as_bytes())?;
        parameters.credential(MAX).map(|value| value.map(str::to_owned))
    };
    assert_eq!(credential("SESSION=a").unwrap().as_deref(), Some("a"));
    assert_eq!(credential("token=a").unwrap().as_deref(), Some("a"));
    assert_eq!(credential("session=&x=1").unwrap(), None);
    assert_eq!(credential("session=a&token=&Session=").unwrap().as_deref(), Some("a"), "an empty one is not given");
    for twice in ["session=a&session=a", "session=a&token=a"] {
        assert_invalid(credential(twice), "session");
    }
    assert_invalid(credential("session=%ff"), "session");
}

proptest! {
    #[test]
    fn no_bytes_panic(query: Vec<u8>, method in 0_usize..1024) {
        let methods = catalog().methods();
        let mut parameters = Parameters::default();
        parameters.add_encoded(&query).unwrap();
        let _ = request(&methods[method % methods.len()], &parameters, MAX);
        let _ = parameters.credential(MAX);
    }

    #[test]
    fn no_value_panics(value in "\\PC*", method in 0_usize..1024) {
        let methods = catalog().methods();
        let method = &methods[method % methods.len()];
        let mut parameters = Parameters::default();
        for parameter in method.parameters() {
            parameters.add(parameter.name(), value.as_bytes()).unwrap();
        }
        let _ = request(method, &parameters, MAX);
    }

    #[test]
    fn no_structure_panics(value in "[\\[\\]{}'\",:a0.\\\\/* -]{0,40}") {
        let query = format!("env={{}}&nodes={value}");
        let _ = environment(&query);
    }

    #[test]
    fn text_arrives_as_it_was_sent(text in "\\PC{1,50}") {
        let encoded: String = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).collect();
        prop_assert_eq!(stop(&format!("envName={encoded}")).unwrap().env_name, text);
    }
}
