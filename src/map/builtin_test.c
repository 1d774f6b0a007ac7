/* builtin_test.c - the built-in datasets on rows as their files have them, detection, and proposals for unknown tables. */
#include "map/map_fixture.h"
#include "test/lib/test.h"

static const char *apply_map(struct fixture *f, const char *path)
{
    struct af_error err;
    AF_CHECK_OK(af_mapper_new(f->map, f->batch.schema, path, &f->mapper, &err), err);
    AF_CHECK_OK(af_mapper_apply(f->mapper, &f->batch, &f->arena, &f->points, &f->rejects, &f->empty, &err), err);
    return fixture_print(f);
}

/* The dataset is named; `path` is only for partition values. */
static const char *run(struct fixture *f, const char *name, const char *rows)
{
    struct af_error err;
    fixture_init(f);
    fixture_batch(&f->arena, rows, "text", &f->batch);
    AF_CHECK_OK(af_map_builtin(name, &f->map, &err), err);
    return apply_map(f, "");
}

#define CHECK_BUILTIN(name, rows, want)                                                                      \
    do {                                                                                                     \
        struct fixture f;                                                                                    \
        AF_CHECK_STR(run(&f, name, rows), want);                                                             \
        fixture_done(&f);                                                                                    \
    } while (0)

AF_TEST(builtins_parse_and_print)
{
    const struct af_map_builtin_name *names = af_map_builtins();
    size_t count = 0;
    for (; names[count].name != NULL; count++) {
        struct af_error err;
        struct af_map *map;
        struct af_map *again;
        AF_CHECK_OK(af_map_builtin(names[count].name, &map, &err), err);
        AF_CHECK_STR(af_map_name(map), names[count].name);
        AF_CHECK_STR(map->about, names[count].about);
        AF_CHECK_STR(af_map_bucket(map), "energy_data");
        struct af_buf a;
        struct af_buf b;
        af_buf_init(&a, 1 << 20);
        af_buf_init(&b, 1 << 20);
        af_map_print(map, &a);
        AF_CHECK_OK(af_map_parse("printed", af_buf_slice(&a), &again, &err), err);
        af_map_print(again, &b);
        AF_CHECK_SLICE(af_buf_slice(&b), af_buf_cstr(&a));
        af_buf_done(&a);
        af_buf_done(&b);
        af_map_free(map);
        af_map_free(again);
    }
    AF_CHECK_INT(count, 32);
    struct af_error err;
    struct af_map *map;
    AF_CHECK_FAILS(af_map_builtin("nothing", &map, &err), AF_ENOTFOUND);
    AF_CHECK(strstr(err.message, "ons-curva-carga") != NULL);
}

/* --- the platform's own vectors ----------------------------------------------------------------------------------- */

AF_TEST(platform_generation)
{
    static const char want[] = "generation_data,energy_source=hydro,measurement_type=power_output,plant_name=Itaipu,"
                               "quality_flag=good,region=southeast power_mw=1500.5,unit=\"MW\" 1704110400000000000\n";
    CHECK_BUILTIN("generation",
                  "timestamp:wall;dataset_type;region;energy_source;measurement_type;value:f64;unit;quality_flag;plant_name\n"
                  "2024-01-01 12:00;generation;southeast;hydro;power_output;1500.5;MW;good;Itaipu\n", want);
    CHECK_BUILTIN("generation",
                  "timestamp;dataset_type:dict;region:dict;energy_source:dict;measurement_type:dict;value;unit:dict;"
                  "quality_flag:dict;plant_name:dict\n"
                  "2024-01-01T12:00:00;generation; southeast ;hydro;power_output;1500.5;MW;good;Itaipu\n", want);
}

AF_TEST(platform_units)
{
    CHECK_BUILTIN("consumption", "timestamp:wall;region;consumer_type;measurement_type;value:f64;unit;quality_flag\n"
                                 "2024-01-01;northeast;total;consumption;850.2;MWh;good\n",
                  "consumption_data,consumer_type=total,measurement_type=consumption,quality_flag=good,region=northeast "
                  "energy_mwh=850.2,unit=\"MWh\" 1704067200000000000\n");
    CHECK_BUILTIN("transmission", "timestamp:wall;region;line_id;measurement_type;value:f64;unit;voltage_kv:i64\n"
                                  "2024-01-01;SE;SE-NE-001;flow;2500;MW;500\n2024-01-01;SE;SE-NE-001;flow;13.8;kV;500\n"
                                  "2024-01-01;SE;SE-NE-001;flow;13.8;kV;\n",
                  "transmission_data,line_id=SE-NE-001,measurement_type=flow,region=SE,voltage_kv=500 "
                  "power_mw=2500,unit=\"MW\",voltage_kv=500 1704067200000000000\n"
                  "transmission_data,line_id=SE-NE-001,measurement_type=flow,region=SE,voltage_kv=500 "
                  "unit=\"kV\",voltage_kv=500 1704067200000000000\n"
                  "transmission_data,line_id=SE-NE-001,measurement_type=flow,region=SE "
                  "voltage_kv=13.8,unit=\"kV\" 1704067200000000000\n");
    CHECK_BUILTIN("generation", "timestamp:wall;region;value:f64;unit\n2024-01-01;N;1;unknown\n2024-01-01;N;2;\n"
                                "2024-01-01;N;3; MW \n2024-01-01;N;4;%\n2024-01-01;N;5;mw\n2024-01-01;N;;MW\n",
                  "generation_data,region=N value=1,unit=\"unknown\" 1704067200000000000\n"
                  "generation_data,region=N value=2 1704067200000000000\n"
                  "generation_data,region=N power_mw=3,unit=\"MW\" 1704067200000000000\n"
                  "generation_data,region=N percentage=4,unit=\"%\" 1704067200000000000\n"
                  "generation_data,region=N value=5,unit=\"mw\" 1704067200000000000\n");
}

AF_TEST(platform_numbers_are_tag_and_field)
{
    CHECK_BUILTIN("generation", "timestamp:wall;region;energy_source;value:f64;unit;capacity_mw:f64;efficiency:f64\n"
                                "2024-01-01;N;hydro;1;MW;14000;0.92\n2024-01-01;N;nan;2;MW;nan;\n",
                  "generation_data,capacity_mw=14000.0,efficiency=0.92,energy_source=hydro,region=N "
                  "power_mw=1,unit=\"MW\",capacity_mw=14000,efficiency=0.92 1704067200000000000\n"
                  "generation_data,region=N power_mw=2,unit=\"MW\" 1704067200000000000\n");
}

/* --- Timestream --------------------------------------------------------------------------------------------------- */

AF_TEST(timestream_single_measure)
{
    CHECK_BUILTIN("timestream-unload",
                  "region;dataset_type;energy_source;measure_name;time:wall;measure_value::double:f64;measure_value::bigint:i64;"
                  "measure_value::varchar:text\n"
                  "SE;generation;hydro;value;2024-01-01;1.5;;\nSE;generation;;count;2024-01-01;;7;\n"
                  "SE;generation;;note;2024-01-01;;; kept \n",
                  "generation_data,dataset_type=generation,energy_source=hydro,region=SE value=1.5 1704067200000000000\n"
                  "generation_data,dataset_type=generation,region=SE count=7i 1704067200000000000\n"
                  "generation_data,dataset_type=generation,region=SE note=\" kept \" 1704067200000000000\n");
}

AF_TEST(timestream_multi_measure)
{
    CHECK_BUILTIN("timestream-unload",
                  "host;measure_name;time:wall;cpu:f64;mem:i64;state;up:bool\nh1;metrics;2024-01-01;0.5;7;ok;1\n",
                  "timestream,host=h1,measure_name=metrics cpu=0.5,mem=7i,state=\"ok\",up=true 1704067200000000000\n");
    /* The genuine sample: time first, no measure_name. */
    CHECK_BUILTIN("timestream-unload", "time:wall;source:dict;signal:dict;value:f64\n2022-02-07 22:57:03.897;a;b;0.2\n",
                  "timestream,signal=b,source=a value=0.2 1644274623897000000\n");
}

AF_TEST(timestream_exports_of_text)
{
    CHECK_BUILTIN("timestream-export",
                  "region;dataset_type;energy_source;measurement_type;measure_name;time;measure_value::double:text\n"
                  "southeast;generation;hydro;power;value;2024-01-01 00:00:00.000000001;1500.5\n"
                  "southeast;generation;hydro;power;value;2024-01-01 01:00:00.000000000;nan\n",
                  "generation_data,dataset_type=generation,energy_source=hydro,measurement_type=power,region=southeast "
                  "value=1500.5 1704067200000000001\n");
}

/* --- ONS ---------------------------------------------------------------------------------------------------------- */

AF_TEST(ons_hourly_load)
{
    static const char rows[] = "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n"
                               "N;NORTE;2023-01-01 00:00:00;5990.55300000\nSE ;SUDESTE;2018-01-01 00:00:00;\n"
                               "SE ;SUDESTE;2018-01-01 00:00:00;31.5\n";
    static const char want[] = "consumption_data,consumer_type=total,region=N demand_mw=5990.553 1672542000000000000\n"
                               "consumption_data,consumer_type=total,region=SE demand_mw=31.5 1514772000000000000\n";
    CHECK_BUILTIN("ons-curva-carga", rows, want);
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, rows, "dict", &f.batch);
    AF_CHECK_OK(af_map_builtin("ons-curva-carga", &f.map, &err), err);
    struct af_map_override utc = { NULL, "UTC" };
    AF_CHECK_OK(af_map_override(f.map, &utc, &err), err);
    AF_CHECK_STR(apply_map(&f, ""), "consumption_data,consumer_type=total,region=N demand_mw=5990.553 1672531200000000000\n"
                                    "consumption_data,consumer_type=total,region=SE demand_mw=31.5 1514764800000000000\n");
    fixture_done(&f);
}

AF_TEST(ons_balance_with_a_misspelt_header_and_a_gap)
{
    CHECK_BUILTIN("ons-balanco",
                  "id_subsistena;nom_subsistema;din_instante;val_gerhidraulica;val_gertermica;val_gereolica;val_gersolar;"
                  "val_carga;val_intercambio\n"
                  "NE;NORDESTE;2018-11-04 00:00:00;0E-8;0E-8;0E-8;0E-8;;\nS;SUL;2018-11-04 00:00:00;0E-8;0E-8;0E-8;0E-8;0E-8;0E-8\n"
                  "S;SUL;2018-11-04 01:00:00;8933.053;684.41999999;95.609;0E-8;7879.5050032;1833.57699679\n",
                  "energy_balance_data,region=S hydro_mw=8933.053,thermal_mw=684.41999999,wind_mw=95.609,solar_mw=0,"
                  "demand_mw=7879.5050032,interchange_mw=1833.57699679 1541300400000000000\n");
}

AF_TEST(ons_interchange_old_and_new)
{
    CHECK_BUILTIN("ons-intercambio",
                  "din_instante;id_subsistema_origem;nom_subsistema_origem;id_subsistema_destino;nom_subsistema_destino;"
                  "val_intercambiomwmed\n2018-11-03 23:00:00;SE;SUDESTE;S;SUL;-2530.982\n"
                  "2018-11-03 23:00:00;N;NORTE;SE;SUDESTE;-1893.154\n",
                  "transmission_data,from_region=S,line_id=S-SE,to_region=SE flow_mw=2530.982 1541296800000000000\n"
                  "transmission_data,from_region=N,line_id=N-SE,to_region=SE flow_mw=-1893.154 1541296800000000000\n");
    CHECK_BUILTIN("ons-intercambio",
                  "din_instante;id_subsistema_origem;nom_subsistema_origem;id_subsistema_destino;nom_subsistema_destino;"
                  "val_intercambiomwmed;val_intercambioprogmwmed\n2026-01-01 00:00:00;S; SUL;SE; SUDESTE;1435.692;2688.651\n"
                  "2026-01-01 00:00:00;SE; SUDESTE;S; SUL;10;-20\n",
                  "transmission_data,from_region=S,line_id=S-SE,to_region=SE flow_mw=1435.692,scheduled_mw=2688.651 "
                  "1767236400000000000\n"
                  "transmission_data,from_region=S,line_id=S-SE,to_region=SE flow_mw=-10,scheduled_mw=20 1767236400000000000\n");
}

AF_TEST(ons_plants)
{
    CHECK_BUILTIN("ons-geracao-usina",
                  "din_instante;id_subsistema;nom_subsistema;id_estado;nom_estado;cod_modalidadeoperacao;nom_tipousina;"
                  "nom_tipocombustivel;nom_usina;id_ons;ceg;val_geracao\n"
                  "2024-01-01 00:00:00;NE;NORDESTE;BA;BAHIA;TIPO I;HIDROELÉTRICA;Hidráulica;Xingó;ALUXG;-;3,5\n"
                  "2024-01-01 00:00:00;NE;NORDESTE;BA;BAHIA;TIPO III;Nova Fonte;Óleo Diesel;U;ABC;-;0\n",
                  "generation_data,energy_source=hydro,fuel=hydro,mode=TIPO\\ I,plant=ALUXG,plant_name=Xingó,region=NE,state=BA "
                  "power_mw=3.5 1704078000000000000\n"
                  "generation_data,energy_source=nova\\ fonte,fuel=diesel,mode=TIPO\\ III,plant=ABC,plant_name=U,region=NE,"
                  "state=BA power_mw=0 1704078000000000000\n");
}

AF_TEST(ons_curtailment)
{
    CHECK_BUILTIN("ons-coff-solar",
                  "id_subsistema;nom_subsistema;id_estado;nom_estado;nom_usina;id_ons;ceg;din_instante;val_geracao;"
                  "val_geracaolimitada;val_disponibilidade;val_geracaoreferencia;val_geracaoreferenciafinal;cod_razaorestricao;"
                  "cod_origemrestricao;dsc_restricao\n"
                  "NE;NORDESTE;BA;BAHIA;CONJ. X;CJU_BABRD;-;2026-01-01 00:30:00;0.0;1;349.062;0.0;;ENE;SIS;razão, \"x\"\n",
                  "curtailment_data,energy_source=solar,plant=CJU_BABRD,region=NE,state=BA power_mw=0,limited_mw=1,"
                  "available_mw=349.062,reference_mw=0,reason=\"ENE\",origin=\"SIS\",description=\"razão, \"x\"\" "
                  "1767238200000000000\n");
    CHECK_BUILTIN("ons-coff-eolica-detail",
                  "id_subsistema;id_estado;nom_modalidadeoperacao;nom_conjuntousina;nom_usina;id_ons;ceg;din_instante;"
                  "val_ventoverificado;flg_dadoventoinvalido;val_geracaoestimada;val_geracaoverificada\n"
                  "N;MA;Tipo II-C;Conj. P;Delta;MAEDT1;EOL;2026-08-01 00:00:00;5.079;1.0;3.808;4.755\n"
                  "N;MA;Tipo II-C;;Delta;MAEDT1;EOL;2026-08-01 00:30:00;;;;\n",
                  "curtailment_detail_data,energy_source=wind,group=Conj.\\ P,plant=MAEDT1,region=N,state=MA "
                  "wind_speed=5.079,invalid=true,estimated_mw=3.808,power_mw=4.755 1785553200000000000\n");
}

AF_TEST(ons_daily_sets)
{
    CHECK_BUILTIN("ons-carga-diaria", "id_subsistema;nom_subsistema;din_instante;val_cargaenergiamwmed\n"
                                      "S;SUL;2013-02-02 00:00:01;\nS;SUL;2013-02-03 00:00:00;8,5\nS;SUL;2018-11-04;1\n",
                  "consumption_daily_data,consumer_type=total,region=S demand_mw=8.5 1359856800000000000\n"
                  "consumption_daily_data,consumer_type=total,region=S demand_mw=1 1541300400000000000\n");
    CHECK_BUILTIN("ons-ear", "id_subsistema;nom_subsistema;ear_data;ear_max_subsistema;ear_verif_subsistema_mwmes;"
                             "ear_verif_subsistema_percentual\nNE;NORDESTE;2023-01-01;51691.2265625;34991.328125;67.69300079\n",
                  "stored_energy_data,region=NE ear_max_mwmonth=51691.2265625,ear_mwmonth=34991.328125,ear_percent=67.69300079 "
                  "1672542000000000000\n");
}

AF_TEST(ons_dessem_takes_the_date_from_the_file_name)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "num_patamar;id_subsistema;val_demanda;val_ger_hidraulica;val_outra\n1;SE;100;60;5\n48;SE;90;50;\n",
                  "text", &f.batch);
    const char *path = "x/BALANCO_DESSEM_GERAL_2025_05_23.csv";
    AF_CHECK_OK(af_map_detect(path, f.batch.schema, &f.map, &err), err);
    AF_CHECK_STR(af_map_name(f.map), "ons-balanco-dessem");
    AF_CHECK_STR(apply_map(&f, path), "dessem_balance_data,region=SE demand_mw=100,hydro_mw=60,outra=5 1747969200000000000\n"
                                      "dessem_balance_data,region=SE demand_mw=90,hydro_mw=50 1748053800000000000\n");
    fixture_done(&f);
}

/* --- detection ---------------------------------------------------------------------------------------------------- */

#define LOAD_COLUMNS "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n"
#define COFF_COLUMNS "id_ons;din_instante;val_geracao;val_geracaolimitada\n"

AF_TEST(detection)
{
    static const struct {
        const char *path;
        const char *columns;
        const char *name; /* NULL: none */
    } cases[] = {
        { "s3://b/dataset=generation/year=2024/month=01/x.parquet", "timestamp;region;value\n", "generation" },
        { "s3://b/dataset=transmission/year=2024/x.parquet", "timestamp;region;value\n", "transmission" },
        { "x.parquet", "timestamp;region;value;consumer_type\n", "consumption" },
        { "x.parquet", "timestamp;region;value\n", NULL },
        { "d/CURVA_CARGA_2023.csv", LOAD_COLUMNS, "ons-curva-carga" },
        { "curva-carga-ho/x.csv", LOAD_COLUMNS, "ons-curva-carga" },
        { "x.csv", LOAD_COLUMNS, "ons-curva-carga" },
        { "CURVA_CARGA_2023.csv", "a;b\n", NULL },
        { "CARGA_MENSAL_2020.csv", "din_instante;val_cargaenergiamwmed\n", "ons-carga-mensal" },
        { "x.csv", "din_instante;val_cargaenergiamwmed\n", "ons-carga-diaria" },
        { "RESTRICAO_COFF_EOLICA_2024_12.csv", COFF_COLUMNS, "ons-coff-eolica" },
        { "RESTRICAO_COFF_FOTOVOLTAICA_2024_12.csv", COFF_COLUMNS, "ons-coff-solar" },
        { "x.csv", COFF_COLUMNS, NULL },
        { "RESTRICAO_COFF_EOLICA_DETAIL_2024.csv", "id_ons;din_instante;val_geracaolimitada;val_ventoverificado\n",
          "ons-coff-eolica-detail" },
        { "timestream-unload-sample.parquet", "time;source;signal;value\n", "timestream-unload" },
        { "db/results/A1.parquet", "region;measure_name;time;measure_value::double:f64\n", "timestream-unload" },
        { "timestream-export/abc/batch_000001.parquet", "region;measure_name;time;measure_value::double:f64\n",
          "timestream-export" },
        { "BALANCO_ENERGIA_SUBSISTEMA_2023.csv", "id_subsistena;din_instante;val_gerhidraulica;val_gertermica;val_carga\n",
          "ons-balanco" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct af_error err;
        fixture_init(&f);
        fixture_batch(&f.arena, cases[i].columns, "text", &f.batch);
        enum af_status status = af_map_detect(cases[i].path, f.batch.schema, &f.map, &err);
        if (status != AF_OK)
            AF_CHECK_INT(status, AF_ENOTFOUND);
        AF_CHECK_STR(f.map != NULL ? af_map_name(f.map) : "none", cases[i].name != NULL ? cases[i].name : "none");
        fixture_done(&f);
    }
}

AF_TEST(a_renamed_column_is_named)
{
    static const struct {
        const char *path;
        const char *says;
    } cases[] = {
        { "x/CURVA_CARGA_2027.csv", "named like ons-curva-carga, but there is no column val_cargaenergiahomwmed" },
        { "RESTRICAO_COFF_EOLICA_DETAIL_2027.csv", "named like ons-coff-eolica-detail, but there is no column id_ons" },
        { "generation/x.csv", "no built-in dataset fits" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct af_error err;
        fixture_init(&f);
        fixture_batch(&f.arena, "id_subsistema;din_instante;val_carga_nova\n", "text", &f.batch);
        AF_CHECK_FAILS(af_map_detect(cases[i].path, f.batch.schema, &f.map, &err), AF_ENOTFOUND);
        AF_CHECK(strstr(err.message, cases[i].says) != NULL);
        fixture_done(&f);
    }
}

/* --- proposals ---------------------------------------------------------------------------------------------------- */

static const char *infer(struct fixture *f, const char *path, const char *rows, bool with_sample)
{
    struct af_error err;
    fixture_init(f);
    fixture_batch(&f->arena, rows, "text", &f->batch);
    AF_CHECK_OK(af_map_infer(path, f->batch.schema, with_sample ? &f->batch : NULL, &f->map, &err), err);
    return apply_map(f, path);
}

AF_TEST(a_proposal_for_a_text_table)
{
    struct fixture f;
    AF_CHECK_STR(infer(&f, "dir/Medidas-Horarias_2023.csv", "data;usina;potencia;ligada;nota\n01/01/2024 00:00;A;1,5;sim;x\n"
                                                             "01/01/2024 00:00;B;1.000,25;não;\n", true),
                 "medidas_horarias,nota=x,usina=A potencia=1.5,ligada=true 1704067200000000000\n"
                 "medidas_horarias,usina=B potencia=1000.25,ligada=false 1704067200000000000\n");
    fixture_done(&f);
}

AF_TEST(a_proposal_for_a_typed_table)
{
    struct fixture f;
    AF_CHECK_STR(infer(&f, "x/2024.parquet", "name;ts:i64;n:i64;v:f64;ok:bool\na;1704067200000;3;0.5;1\n", true),
                 "data,name=a n=3i,v=0.5,ok=true 1704067200000000000\n");
    fixture_done(&f);
    AF_CHECK_STR(infer(&f, "a.parquet", "name;when:time;v:f64\na;2024-01-01;0.5\n", false), "a,name=a v=0.5 1704067200000000000\n");
    fixture_done(&f);
}

AF_TEST(no_time_no_proposal)
{
    struct fixture f;
    struct af_error err;
    fixture_init(&f);
    fixture_batch(&f.arena, "a;b:f64\nx;1\n", "text", &f.batch);
    AF_CHECK_FAILS(af_map_infer("x.csv", f.batch.schema, &f.batch, &f.map, &err), AF_EINVAL);
    AF_CHECK(strstr(err.message, "no time column") != NULL);
    fixture_done(&f);
}
